"""Typed definitions, ready to use and to copy. The library itself never imports them."""

"""Faults on purpose: a proxy that fails, processes that are killed, disks that are full, and rows from hell."""

"""Python's garbage collector and models: what stays for as long as the server runs is not looked through again and again."""

from __future__ import annotations

import atexit
import gc

# What is still set aside when the interpreter ends, libraries report as leaked.
atexit.register(gc.unfreeze)


def settle() -> None:
    """Call when a model has been loaded or let go.

    The libraries of a model leave more than a million objects behind, and a full collection looks at each of them: all
    threads, the event loop's too, stand still for a third of a second. So what is alive now is set aside.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()

"""Two threads that work for each other: one reads, the other packs (or the other way round)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

SWITCH_SECONDS = 0.0002


@contextmanager
def partner(name: str) -> Iterator[ThreadPoolExecutor]:
    """A second thread, for work that mostly leaves the interpreter's lock.

    By default a thread that comes back for the lock waits 5 ms for it: longer than packing a chunk takes, so that the
    two would run one after the other. The interval is the whole process's; it is put back at the end.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH_SECONDS))
    try:
        with ThreadPoolExecutor(1, name) as executor:
            yield executor
    finally:
        sys.setswitchinterval(before)

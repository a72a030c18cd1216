"""How far a piece of work is, and how fast it goes."""

from __future__ import annotations

import time
from typing import Any


class Meter:
    """Told after each step; ``facts`` are JSON, for whoever shows them. Bytes are those of the archive so far."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self._began = time.monotonic()

    def report(self, phase: str, done: int, total: int, size: int = 0) -> None:
        before = self.facts
        # A new part of the work counts anew; how fast it goes is measured from its beginning.
        if not before or done < before["done"] or total != before["total"]:
            self._began = time.monotonic()
        seconds = round(time.monotonic() - self._began, 1)
        self.facts = {"phase": phase, "done": done, "total": total, "size": size, "seconds": seconds}

"""Seconds and memory of whole processes, children included."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SAMPLE_SECONDS = 0.05

Prepare = Callable[[], None]


def seconds(command: Sequence[str] | str, environment: dict[str, str] | None = None) -> float:
    """One run. A string is given to a shell."""
    started = time.perf_counter()
    subprocess.run(
        command, env=environment, check=True, shell=isinstance(command, str), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    return time.perf_counter() - started


def alternately(runs: int, **measured: Callable[[], float]) -> dict[str, float]:
    """The median of several runs each, taken in turn: what slows the machine for a while slows all of them."""
    taken: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(runs):
        for name, measure in measured.items():
            taken[name].append(measure())
            print(f"  {name}, run {number + 1}: {taken[name][-1]:.2f} s", flush=True)
    return {name: statistics.median(values) for name, values in taken.items()}


def peak_pss(command: Sequence[str], environment: dict[str, str]) -> float:
    """The highest proportional set size of a process and its children together, in MB, sampled 20 times a second."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, sum(map(_pss, _tree(process.pid))))
            time.sleep(SAMPLE_SECONDS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return peak / 1000


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:  # it ended while we looked
            continue
        for child in children:
            found += _tree(int(child))
    return found


def _pss(pid: int) -> int:
    """In kB; 0 for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)

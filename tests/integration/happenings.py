"""What may happen: changes of live tables and backups, as strategies; and what makes a backup fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.integration.lives import NARROW, WIDE, LiveTable, Shape

places = st.integers(0, 99)  # of a key or a backup among those that there are
some_types = st.sampled_from([None, ["WORDS"], ["SEATS"], ["SEATS", "WORDS"]])
kinds_of_backup = st.sampled_from(["INCREMENTAL", "INCREMENTAL", "INCREMENTAL", "FULL"])
# At the last one it is complete, unless there was a dead one before it to clean up after.
DEADLY = ["open ….tar.gz.partial", "half a write", "rename ….tar.gz.partial", "fsync #3",
          "rename ….manifest.json.partial", "fsync #4"]  # fmt: skip


@dataclass(frozen=True)
class Change:
    """To some rows, beside each other, of a table; or to the table."""

    what: str
    label: str
    place: int
    count: int
    value: str
    shape: Shape

    def apply_to(self, table: LiveTable) -> None:
        keys = table.some(self.place, self.count)
        changes: dict[str, Callable[[], None]] = {
            "insert": lambda: table.put(keys, self.value),
            "update": lambda: table.update(keys, self.value),
            "delete": lambda: table.delete(keys),
            "move": lambda: table.move(keys[0], keys[-1]),
            "delete from": lambda: table.delete_from(keys[0]),
            "fill": lambda: table.put(table.keys, self.value),
            "update all": lambda: table.update(table.keys, self.value),
            "truncate": table.empty,
            "alter": lambda: table.alter(self.shape),
        }
        changes[self.what]()


@dataclass(frozen=True)
class Backup:
    """To be taken."""

    types: list[str] | None
    kind: str


BackupOrChange = Backup | Change
SMALL, LARGE = ["insert", "update", "delete", "move", "delete from"], ["fill", "update all", "truncate", "alter"]
backups = st.builds(Backup, some_types, kinds_of_backup)
changes = st.builds(
    Change,
    what=st.sampled_from([*SMALL, *SMALL, *LARGE]),
    label=st.sampled_from(["zoo.legacy", "zoo.legacynote", "zoo.seat"]),
    place=places,
    count=st.integers(1, 6),
    value=st.sampled_from(["'a'", "''", "'changed'", "'猫'", "'NULL'"]),
    shape=st.builds(Shape, st.booleans(), st.sampled_from([NARROW, WIDE])),
)
# Part of every rule, since Hypothesis leaves out about half of the rules in each life.
happenings = st.lists(st.one_of(backups, changes), max_size=6)


class Stopped(Exception):
    """Somebody has had enough of waiting."""


def stop(*_progress: object) -> None:
    raise Stopped


@contextmanager
def away(path: Path, vault: Path) -> Iterator[Callable[..., None]]:
    """What is yielded moves a file of the vault, or the whole of it, away. Afterwards it is back."""
    vault.mkdir(exist_ok=True)
    hidden = vault.parent / f"{path.name}.away"

    def vanish(*_progress: object) -> None:
        if path.exists():
            path.rename(hidden)

    try:
        yield vanish
    finally:
        path.unlink(missing_ok=True)
        hidden.rename(path)

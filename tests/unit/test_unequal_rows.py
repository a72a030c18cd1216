"""A chunk's rows beside the live ones of its range: what is written alike, place by place, is left out."""

import orjson
import pytest

from backup_center.engine import ranges
from backup_center.engine.dialects.base import Piece
from backup_center.engine.dialects.postgresql.reading import to_json

# Strings that look like the border of two rows, as either dialect writes it.
ROWS = [["1", "a"], ["2", "],["], ["3", "\n],["], ["4", '"],["'], ["5", None]]


def written(rows, by):
    """As the dialect of that name writes a chunk."""
    if by == "sqlite" or not rows:
        return orjson.dumps(rows)
    return to_json([orjson.dumps(row)[1:-1] + b"\n" for row in rows])


def unequal(backup, live, by, size):
    """``size`` live rows to a piece."""
    slices = [live[start : start + size] for start in range(0, len(live), size)]
    pieces = (Piece(range=0, body=written(some, by), rows=len(some), first=some[0][:1], last=some[-1][:1])
              for some in slices)  # fmt: skip
    kept, others = ranges.unequal(written(backup, by), len(backup), pieces)
    return kept, list(others)


pytestmark = [
    pytest.mark.parametrize("by", ["sqlite", "postgresql"]),
    pytest.mark.parametrize("size", [1, 2, 5, 9]),
]


def test_rows_that_are_alike(by, size):
    assert unequal(ROWS, ROWS, by, size) == ([], [])


@pytest.mark.parametrize("place", range(len(ROWS)))
def test_a_row_that_changed(by, size, place):
    live = [*ROWS[:place], [ROWS[place][0], "other"], *ROWS[place + 1 :]]
    assert unequal(ROWS, live, by, size) == ([ROWS[place]], [live[place]])


def test_rows_that_are_gone(by, size):
    assert unequal(ROWS, ROWS[:2], by, size) == (ROWS[2:], [])
    assert unequal(ROWS, [], by, size) == (ROWS, [])


def test_rows_that_came(by, size):
    more = [[str(number), "more"] for number in range(6, 20)]
    assert unequal(ROWS, ROWS + more, by, size) == ([], more)
    assert unequal([], ROWS, by, size) == ([], ROWS)


def test_a_row_that_moved_all_others(by, size):
    live = [["0", "first"], *ROWS]
    assert unequal(ROWS, live, by, size) == (ROWS, live)


def test_the_same_number_written_in_another_way(by, size):
    """Whoever compares the values decides."""
    assert unequal([[1, 1.0]], [[1, 1]], by, size) == ([[1, 1.0]], [[1, 1]])


def test_a_chunk_with_other_white_space(by, size):
    spaced = b"[" + b" , ".join(orjson.dumps(row) for row in ROWS) + b"]"
    live = [*ROWS[:4], ["5", "changed"]]
    piece = Piece(range=0, body=written(live, by), rows=5, first=["1"], last=["5"])
    kept, others = ranges.unequal(spaced, len(ROWS), iter([piece]))
    assert (ROWS[4] in kept, live[4] in list(others)) == (True, True)

"""What the commands print for people: bars on a terminal, plain lines elsewhere, sizes."""

import io

import pytest

from backup_center.management import terminal
from backup_center.management.terminal import Progress, split_names
from backup_center.quantities import size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_is_wiped_at_the_end(monkeypatch):
    monkeypatch.setattr(terminal, "REFRESH_SECONDS", 0.0)
    stream = Terminal()
    progress = Progress(stream)

    progress("zoo.animal", 500, 1000)
    progress("zoo.animal", 1000, 1000)
    progress.end()

    _before, half, whole, rest = stream.getvalue().split("\r\x1b[K")
    assert half == f"[{'#' * 15}{'.' * 15}] 500 / 1,000  zoo.animal"
    assert whole == f"[{'#' * 30}] 1,000 / 1,000  zoo.animal"
    assert rest == ""


def test_a_bar_is_not_redrawn_for_every_chunk():
    stream = Terminal()
    progress = Progress(stream)
    for done in range(1000):
        progress("zoo.animal", done, 1_000_000)

    assert stream.getvalue().count("\r") == 1


def test_an_empty_database_draws_a_full_bar():
    stream = Terminal()
    Progress(stream)("zoo.animal", 0, 0)

    assert "#" * 30 in stream.getvalue()


def test_a_quick_operation_says_nothing_where_there_is_no_terminal():
    stream = io.StringIO()
    progress = Progress(stream)
    progress("zoo.animal", 1000, 1000)
    progress.end()

    assert stream.getvalue() == ""


def test_a_long_operation_says_plain_lines_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(terminal, "LINE_SECONDS", 0.0)
    stream = io.StringIO()
    progress = Progress(stream)
    progress("zoo.animal", 500, 1000)
    progress("zoo.animal", 1000, 1000)
    progress.end()

    assert stream.getvalue() == "500 / 1,000  zoo.animal\n1,000 / 1,000  zoo.animal\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [("SHOP", ["SHOP"]), ("SHOP, CONTRACT ,", ["SHOP", "CONTRACT"]), ("", []), (" , ", [])],
)
def test_names_are_separated_by_commas(text, names):
    assert split_names(text) == names


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 * 1024**3 // 2, "1.5 GiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_sizes_are_for_people(number, text):
    assert size(number) == text

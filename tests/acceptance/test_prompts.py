"""Questions and bars on a terminal: a real one, as far as the command can tell."""

import os
import pty
import subprocess

import pytest

from tests.projects import Project, once

pytestmark = once

END_OF_INPUT = "\x04"


def on_a_terminal(project: Project, *words: str, answer: str) -> tuple[int, str]:
    """Run a command on a terminal, answer its question; the exit code and all that was shown."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, **project.environment, "TERM": "dumb"}
    process = subprocess.Popen(
        [*project.command, *words], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown, asked = b"", False
    try:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux says so when the last program has left the terminal
                break
            if not piece:
                break
            shown += piece
            if not asked and b"[y/N] " in shown:
                asked = True
                os.write(ours, answer.encode())
    finally:
        os.close(ours)
    return process.wait(), shown.decode()


@pytest.fixture(scope="module")
def changed_mall(make_mall, first_mall, tmp_path_factory) -> Project:
    """A mall with a backup, whose prices were spoilt afterwards."""
    found = make_mall(tmp_path_factory.mktemp("prompts") / "mall", like=first_mall)
    found.run("backup_database")
    found.python("from apps.finance.models import FinanceRecord; print(FinanceRecord.objects.update(amount=1))")
    return found


def the_backup(project: Project) -> str:
    return project.rows("SELECT backup_name FROM backup_backuprecord ORDER BY sequence")[0][0]


def spoilt(project: Project) -> bool:
    return project.rows("SELECT count(*) FROM finance_financerecord WHERE amount <> 1") == [(0,)]


@pytest.mark.parametrize("answer", ["\n", "yeah\n", END_OF_INPUT], ids=["enter", "yeah", "end of input"])
def test_anything_but_a_clear_yes_changes_nothing(changed_mall: Project, answer: str):
    code, shown = on_a_terminal(changed_mall, "restore_database", the_backup(changed_mall), answer=answer)

    assert code == 6
    assert "finance.financerecord  120 rows now, 120 in the backup: 120 changed" in shown
    assert "Nothing was changed." in shown
    assert "Traceback" not in shown
    assert spoilt(changed_mall)


def test_a_clear_yes_restores_shows_a_bar_and_wipes_it(changed_mall: Project):
    """The last test of this mall."""
    code, shown = on_a_terminal(changed_mall, "restore_database", the_backup(changed_mall), answer="yes\n")

    assert code == 0
    assert "\r\x1b[K[####" in shown
    assert f"\r\x1b[K{the_backup(changed_mall)} was restored." in shown
    assert not spoilt(changed_mall)

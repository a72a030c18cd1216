"""``make demo``, as a newcomer sees it: a child process in a folder of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO = [sys.executable, str(ROOT / "scripts" / "demo.py")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(settings.ON_POSTGRESQL, reason="it has a SQLite database of its own: once is enough"),
]


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    # None of these must matter: nobody's own database, vault or broker is played with.
    ours = {"DEMO_DIR": str(tmp_path / "demo"), "DATABASE_URL": "postgres://nobody@nowhere.invalid/none"}
    ours |= {"MALL_TASKS": "celery", "MALL_OFFSITE": "no JSON", "CELERY_BROKER_URL": "redis://nowhere.invalid/0"}
    return {**os.environ, "LC_ALL": "", "LANG": "en_US.UTF-8", "SERVE": "no", "PYTHONIOENCODING": "utf-8"} | ours


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        DEMO, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


def taken_port() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_of_the_settings_of_a_mall_only_those_of_the_demo_reach_it(surroundings):
    code = "import demo, json; print(json.dumps(demo.surroundings()))"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", env=surroundings, capture_output=True, check=True
    )
    known = json.loads(told.stdout)
    assert {name for name in known if name.startswith("MALL_")} == {"MALL_DATA_DIR", "MALL_LANGUAGE"}
    assert known["MALL_DATA_DIR"] == surroundings["DEMO_DIR"]
    assert not known.keys() & {"DATABASE_URL", "CELERY_BROKER_URL"}
    assert known["PATH"] == surroundings["PATH"]


def test_a_taken_port_is_told_before_the_work_begins(surroundings):
    with taken_port() as listener:
        port = listener.getsockname()[1]
        done = run(surroundings | {"SERVE": "", "PORT": str(port)})

    assert done.returncode == 1
    assert f"Port {port} can't be used" in done.stderr
    assert not Path(surroundings["DEMO_DIR"]).exists()


def test_a_folder_that_no_demo_has_made_is_left_alone(surroundings):
    folder = Path(surroundings["DEMO_DIR"])
    folder.mkdir()
    (folder / "diary.txt").write_text("dear diary")

    done = run(surroundings)

    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def test_it_speaks_chinese_where_the_terminal_does_and_the_site_answers_until_ctrl_c(surroundings, tmp_path):
    with taken_port() as listener:
        port = listener.getsockname()[1]
    environment = surroundings | {"SERVE": "", "PORT": str(port), "LANG": "zh_CN.UTF-8"}
    told = tmp_path / "told"
    with told.open("w") as output:
        demo = subprocess.Popen(
            DEMO, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        assert "password" in page(f"http://127.0.0.1:{port}/", demo)
        second = run(surroundings)
        assert second.returncode == 1
        assert "A demo is running" in second.stderr
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        assert demo.wait(30) == 0
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()
    with pytest.raises(URLError):
        urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    story = told.read_text(encoding="utf-8")
    assert "都回来了" in story
    assert "rows" not in story
    look_at(story, Path(surroundings["DEMO_DIR"]))


def look_at(story: str, folder: Path) -> None:
    """What it tells is what is there."""
    digest = "([0-9a-f]{64})"
    before, spoilt, restored = re.findall(rf"^   (?:出事之前|出事之后|恢复之后)  {digest}$", story, re.MULTILINE)
    assert before == restored != spoilt
    assert folder.stat().st_mode & 0o777 == 0o700
    full, incremental, safety, *scheduled = sorted(
        (folder / "backups").glob("*.tar.gz"), key=lambda path: path.stat().st_mtime_ns
    )
    assert incremental.stat().st_size < full.stat().st_size / 2
    assert re.search(r'name ".+" → ".+ II"', story)  # the shop's past: its name on the ordinary day
    assert safety.name.startswith("backup_incremental_")
    [name] = [path.name.partition(".")[0] for path in scheduled if path.name.startswith("backup_full_")]
    caught_up, proven = (line for line in story.splitlines() if name in line and "$" not in line)
    assert caught_up.startswith("到期")
    assert proven.startswith(name)


def page(url: str, demo: subprocess.Popen[bytes]) -> str:
    """The page, as soon as somebody serves it."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urlopen(url, timeout=5) as answer:  # noqa: S310  # ours
                return answer.read().decode()
        except OSError:
            assert demo.poll() is None, "the demo ended before it served anything"
            assert time.monotonic() < deadline
            time.sleep(0.3)

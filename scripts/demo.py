"""A backup, a bad night, and the way back: the mall in a folder of its own, from an empty database to the proof.

make demo               the whole story, then the site on 127.0.0.1 until Ctrl-C
make demo PORT=8001     the site on another port
make demo SERVE=no      no site: ends with exit code 0 if every row came back, 1 if not

It speaks Chinese if LC_ALL or LANG does, else English. It plays in `.demo` (or DEMO_DIR), emptied first and kept after.
Your own settings for the mall, DATABASE_URL above all, are not used.
"""

import fcntl
import hashlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import serve as serving

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("DEMO_DIR") or ROOT / ".demo").expanduser().absolute()
DATABASE = FOLDER / "mall.sqlite3"
MARK = "demo.lock"  # tells our folder from anybody else's, and whether a demo is at work in it
CHINESE = (os.environ.get("LC_ALL") or os.environ.get("LANG") or "").startswith("zh")
LANGUAGE = "zh-hans" if CHINESE else "en"
ADMINISTRATOR = "admin"
STEPS = 13
SHOP = 7  # whose day and night we follow

# Our own tables and the sessions are not what a backup brings back; sqlite_… is SQLite's own.
TABLES = """
SELECT name FROM sqlite_master
WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'backup\\_%' ESCAPE '\\'
  AND name <> 'django_session' ORDER BY name
"""
OPERATIONS = [f"operations_{name}" for name in ("devicedata", "manualoperationdata", "operationanalysis")]
ORDINARY_DAY = [
    (
        "A shop gets a new name, and some bills are paid.",
        "一家店铺换了新名字，几笔账单付清了。",
        f"UPDATE store_shop SET name = name || ' II' WHERE id = {SHOP}",
        "UPDATE finance_financerecord SET status = 'PAID' WHERE id % 97 = 0",
    ),
]
SERVER_WAS_OFF = [
    (
        "The server was off at 02:00; when it is back, the scheduled backup is overdue.",
        "凌晨两点服务器没有开机；恢复供电后，计划中的备份已经逾期。",
        "UPDATE backup_schedule SET next_run_at = datetime('now', '-1 day') WHERE action = 'FULL'",
    ),
]
BAD_NIGHT = [
    (
        "An UPDATE without its WHERE: every bill is paid, and nobody owed anything.",
        "一条漏写 WHERE 的 UPDATE：所有账单都成了“已付”，金额全部归零。",
        "UPDATE finance_financerecord SET amount = 0, status = 'PAID'",
    ),
    (
        "A shop is deleted, with all that belongs to it.",
        "一家店铺被删除，它名下的数据也一并消失。",
        *(
            f"DELETE FROM {table} WHERE shop_id = {SHOP}"
            for table in (*OPERATIONS, "finance_financerecord", "store_contract")
        ),
        f"DELETE FROM store_shop WHERE id = {SHOP}",
    ),
    (
        "Every third contract is lost, and its bills forget it.",
        "三分之一的合约丢失，账单不再知道自己属于哪份合约。",
        "UPDATE finance_financerecord SET contract_id = NULL WHERE contract_id % 3 = 0",
        "DELETE FROM store_contract WHERE id % 3 = 0",
    ),
]


def words(english: str, chinese: str) -> str:
    return chinese if CHINESE else english


class Stopped(Exception):
    """The demo can't go on; the message says why and what to do."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(words(english, chinese))


def say(english: str, chinese: str, indent: str = "   ") -> None:
    print(indent + words(english, chinese), flush=True)


@contextmanager
def step(number: int, english: str, chinese: str) -> Iterator[None]:
    """A heading before, the time it took after."""
    print(f"\n{number}/{STEPS}  {words(english, chinese)}", flush=True)
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    say(f"({seconds:.1f} seconds)", f"（{seconds:.1f} 秒）")


def manage(*arguments: str, **environment: str) -> None:
    """Run a command of the mall, and show how to run it again."""
    command = [os.path.relpath(sys.executable, ROOT), "mall/manage.py", *arguments]
    print("   $ " + shlex.join(command), flush=True)
    # In a group of its own, so that Ctrl-C reaches only us: no traceback, the command is just ended.
    code = subprocess.run(command, cwd=ROOT, env=surroundings() | environment, process_group=0).returncode  # noqa: PLW1510
    if code:
        raise Stopped(f"That command failed (exit code {code}).", f"该命令失败（退出码 {code}）。")


def surroundings() -> dict[str, str]:
    """The environment of the mall: ours, but nothing that would lead it elsewhere."""
    astray = ("DJANGO_", "MALL_", "DATABASE_URL", "CELERY_BROKER_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(astray)}
    return kept | {"MALL_DATA_DIR": str(FOLDER), "MALL_LANGUAGE": LANGUAGE}


def requested_port() -> int | None:
    """Where to serve, ``None`` for nowhere. Asked before the work begins, so that nobody waits for a refusal."""
    if os.environ.get("SERVE", "").lower() in {"no", "0", "false", "off"}:
        return None
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Stopped(f"PORT={text} is not a port (1 to 65535).", f"PORT={text} 不是端口号（1 到 65535）。")
    try:
        socket.create_server(("127.0.0.1", int(text))).close()
    except OSError as error:
        other = 8001 if int(text) != 8001 else 8002
        raise Stopped(
            f"Port {text} can't be used ({error.strerror}). Choose another one: make demo PORT={other}",
            f"端口 {text} 无法使用（{error.strerror}）。请换一个端口：make demo PORT={other}",
        ) from error
    return int(text)


@contextmanager
def fresh_folder() -> Iterator[None]:
    """Ours alone while this runs, and empty. A folder that no demo has made is left alone."""
    if FOLDER.exists() and (not FOLDER.is_dir() or (any(FOLDER.iterdir()) and not (FOLDER / MARK).exists())):
        raise Stopped(
            f"{FOLDER} holds something else. Move it away, or choose another folder with DEMO_DIR.",
            f"{FOLDER} 里有别的内容。请先移走，或用 DEMO_DIR 指定另一个目录。",
        )
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    FOLDER.chmod(0o700)
    with (FOLDER / MARK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Stopped(
                f"A demo is running in {FOLDER}; end it first.", f"{FOLDER} 中已有一个演示在运行，请先结束它。"
            ) from error
        for path in FOLDER.iterdir():
            if path.name != MARK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield


def read_everything() -> tuple[str, int, int]:
    """SHA-256 over every row of every table of the mall, and how many tables and rows those are.

    Plain SQL and nothing of Backup Center's: who doubts a backup should not have to ask it.
    """
    digest, count = hashlib.sha256(), 0
    with closing(sqlite3.connect(DATABASE)) as connection:
        tables = [name for (name,) in connection.execute(TABLES)]
        for table in tables:
            rows = sorted(map(repr, connection.execute(f'SELECT * FROM "{table}"')))
            count += len(rows)
            digest.update("\n".join([table, str(len(rows)), *rows, ""]).encode())
    return digest.hexdigest(), len(tables), count


def happen(events: list[tuple[str, ...]]) -> None:
    """By plain SQL, behind Django's back: a backup must see that too."""
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for english, chinese, *statements in events:
            say(english, chinese)
            for statement in statements:
                rows = connection.execute(statement).rowcount
                say(f"{statement};  -- {rows:,} rows", f"{statement};  -- {rows:,} 行", "     ")
        connection.commit()


def tell(password: str) -> bool:
    """The story. True if every row came back."""
    print(f"   $ export MALL_DATA_DIR={shlex.quote(str(FOLDER))} MALL_LANGUAGE={LANGUAGE}", flush=True)
    with step(1, "An empty database", "准备一个空数据库"):
        manage("migrate", "--verbosity", "0")
    with step(2, "A mall full of made-up data", "填入虚构的商场数据"):
        manage("populate_mall")
    with step(3, "An administrator", "创建管理员"):
        arguments = ("--noinput", "--username", ADMINISTRATOR, "--email", "admin@example.com", "--verbosity", "0")
        manage("createsuperuser", *arguments, DJANGO_SUPERUSER_PASSWORD=password)
        say(f"user name {ADMINISTRATOR}, password {password}", f"用户名 {ADMINISTRATOR}，密码 {password}")
    with step(4, "A full backup", "做一次全量备份"):
        manage("backup_database", "--description", words("The evening before", "前一天晚上"))
    with step(5, "An ordinary day", "平常的一天"):
        happen(ORDINARY_DAY)
    with step(
        6, "An incremental backup: it stores what changed, and is complete", "做一次增量备份：只存变化，却是完整的"
    ):
        before, tables, rows = read_everything()
        manage("backup_database", "--type=INCREMENTAL", "--description", words("Before the bad night", "出事之前"))
        say(f"{rows:,} rows in {tables} tables, digest {before}", f"{tables} 张表共 {rows:,} 行，摘要 {before}")
    with step(7, "A bad night", "糟糕的一夜"):
        happen(BAD_NIGHT)
    spoilt, _tables, left = read_everything()
    say(f"{left:,} of {rows:,} rows are left, digest {spoilt}", f"{rows:,} 行只剩 {left:,} 行，摘要 {spoilt}")
    [sidecar] = (FOLDER / "backups").glob("backup_incremental_*.manifest.json")
    name = sidecar.name.removesuffix(".manifest.json")
    with step(8, "The preview: what a restore would change", "预览：先看恢复会改变什么"):
        manage("restore_database", name, "--dry-run")
    with step(
        9,
        "The rewind: only what differs is replaced, all of it or nothing",
        "回退：只替换不同的数据，要么全部，要么不变",
    ):
        manage("restore_database", name, "--yes")
    with step(10, "The proof: every row of every table, read again", "证明：重新读取每张表的每一行"):
        after, _tables, count = read_everything()
        say(f"before    {before}", f"出事之前  {before}")
        say(f"spoilt    {spoilt}", f"出事之后  {spoilt}")
        say(f"restored  {after}", f"恢复之后  {after}")
    with step(11, "One shop's past, in all backups", "一家店铺在所有备份里的经历"):
        manage("record_history", "store.Shop", str(SHOP))
    by_itself()
    if not before == after != spoilt:
        say(f"This is NOT what was backed up ({count:,} rows).", f"与备份时不一致（{count:,} 行）。", "\n")
    else:
        say(f"All {count:,} rows are back, byte for byte.", f"全部 {count:,} 行都回来了，一个字节也不差。", "\n")
    return before == after != spoilt


def by_itself() -> None:
    """What nobody asks for: a schedule, and the proof that its backup restores."""
    with step(12, "The schedule: what was missed is caught up, once", "计划：错过的会补做一次"):
        happen(SERVER_WAS_OFF)
        manage("run_due_schedules")
        manage("run_due_schedules")
    with step(
        13,
        "The drill: the backup restored into a scratch database, compared and timed",
        "演练：把备份恢复到临时数据库，逐表核对并计时",
    ):
        manage("drill_backups")


def serve(port: int, password: str) -> int:
    say(
        f"The pages are at http://127.0.0.1:{port}/backup/ ({ADMINISTRATOR}, {password}). Ctrl-C ends it.",
        f"备份管理中心 http://127.0.0.1:{port}/backup/（{ADMINISTRATOR}，{password}）。按 Ctrl-C 结束。",
        "\n",
    )
    code = serving.serve(port, surroundings())
    if code == 0:
        say(f"Ended. Everything is still in {FOLDER}.", f"已结束。所有内容仍在 {FOLDER} 中。", "\n")
    return code


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has started us with Ctrl-C ignored
        signal.signal(number, signal.default_int_handler)
    started, password = time.monotonic(), secrets.token_urlsafe(9)
    try:
        port = requested_port()
        with fresh_folder():
            if not tell(password):
                return 1
            seconds = time.monotonic() - started
            say(f"It took {seconds:.0f} seconds in all.", f"总共用时 {seconds:.0f} 秒。", "")
            return 0 if port is None else serve(port, password)
    except Stopped as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n" + words("Interrupted. The next run starts afresh.", "已中断。下次运行会重新开始。"), file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""Exit codes and messages of the commands, as a shell script sees them (docs/reference.md)."""

import os
import subprocess
from pathlib import Path

from tests.projects import ROOT, Project, once, searched

HOLD = "from backup_center.services.lease import hold\nwith hold('backup'):\n    print('held', flush=True); input()"


def test_a_round_trip_ends_with_0(mall: Project):
    name = mall.json("backup_database")["name"]
    restored = mall.json("restore_database", name + ".tar.gz", "--yes")
    listed = mall.json("list_backups")

    assert list(restored["statistics"]) == ["shops", "contracts", "operations", "finance", "logs", "others"]
    assert restored["statistics"]["finance"] == 120
    assert [(one["name"], one["trigger"]) for one in listed] == [
        (restored["safety_backup"], "safety"),
        (name, "command"),
    ]
    assert (mall.folder / "backups").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (mall.folder / "backups").iterdir()} == {0o600}


@once
def test_an_unknown_backup_ends_with_1(mall: Project):
    assert "nothing_of_the_kind" in mall.run("restore_database", "nothing_of_the_kind", "--yes", code=1).stderr


def test_a_database_without_tables_ends_with_1_and_says_to_migrate(make_mall, tmp_path):
    empty = make_mall(tmp_path / "empty")

    assert "run migrate first" in empty.run("backup_database", code=1).stderr


@once
def test_a_misspelt_option_ends_with_2(mall: Project):
    assert "invalid choice: 'WHOLE'" in mall.run("backup_database", "--type=WHOLE", code=2).stderr


def test_a_second_writer_ends_with_3_and_names_the_first(mall: Project):
    holder = subprocess.Popen(
        [*mall.command, "shell", "--verbosity=0", "-c", HOLD],
        env={**os.environ, **mall.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        done = mall.run("backup_database", code=3)
        holder.communicate("\n")

    assert "Another operation is running (backup by" in done.stderr


def test_damage_ends_with_4_and_changes_nothing(mall: Project):
    taken = mall.json("backup_database", "--data-types=FINANCE")
    archive = mall.folder / "backups" / taken["file"]
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    before = mall.rows("SELECT * FROM finance_financerecord ORDER BY id")

    verified = mall.json("verify_backups", code=4)
    done = mall.run("restore_database", taken["name"], "--yes", code=4)

    assert list(verified["damaged"]) == [taken["name"]]
    assert taken["name"] in done.stderr
    assert mall.rows("SELECT * FROM finance_financerecord ORDER BY id") == before


def test_references_in_the_way_end_with_5_in_a_dry_run_and_for_real(mall: Project):
    taken = mall.json("backup_database", "--data-types=SHOP")
    mall.python(
        "import json; from apps.store.models import Shop, Contract; shop = Shop.objects.first();"
        "shop.pk, shop.number = None, 'NEW'; shop.save(); contract = Contract.objects.first();"
        "contract.shop = shop; contract.save(); print(json.dumps(shop.pk))"
    )
    for flag in ("--dry-run", "--yes"):
        stderr = mall.run("restore_database", taken["name"], flag, code=5).stderr
        assert "1 rows of store.contract refer to rows of store.shop that the backup does not have" in stderr
        assert "Leave the data type of store.shop out." in stderr
    assert mall.rows("SELECT count(*) FROM store_shop") == [(5,)]


@once
def test_nobody_to_ask_ends_with_6(mall: Project):
    taken = mall.json("backup_database", "--data-types=LOG")

    assert "--yes" in mall.run("restore_database", taken["name"], code=6).stderr


@once
def test_demanded_encryption_stops_the_command_before_it_starts(mall: Project, tmp_path: Path):
    (tmp_path / "encrypting.py").write_text("from config.settings import *\nBACKUP_ENCRYPTION = True\n")
    more = {"DJANGO_SETTINGS_MODULE": "encrypting", "PYTHONPATH": searched(tmp_path, ROOT / "mall")}
    stderr = mall.run("backup_database", code=1, **more).stderr

    assert "backup_center.E001" in stderr
    assert "backup_keys generate" in stderr
    assert not (mall.folder / "backups").exists()

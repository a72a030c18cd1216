"""backup_keys, and what pages and lists tell of keys."""

from __future__ import annotations

import json
import os
import stat

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from backup_center.engine.encryption import abbreviated
from backup_center.models import BackupLog
from tests.integration.encrypting import Operator, encrypt_to
from tests.integration.pages import ALL, browser, person


def at(name: str, *records: object) -> str:
    return reverse(f"backup:{name}", args=[record.pk for record in records])


def keys(capsys, *words: str) -> str:
    capsys.readouterr()
    call_command("backup_keys", *words)
    return capsys.readouterr().out


def refused(capsys, code: int, *words: str) -> str:
    with pytest.raises(CommandError) as raised:
        keys(capsys, *words)
    assert raised.value.returncode == code
    return str(raised.value)


def test_generate_writes_a_file_that_only_we_can_read_and_never_overwrites_one(tmp_path, capsys, monkeypatch):
    file = tmp_path / "identity.txt"
    made = json.loads(keys(capsys, "generate", str(file), "--json"))
    content = file.read_text()
    assert made["recipient"].startswith("age1")
    assert made["recipient"] in content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "not overwritten" in refused(capsys, 5, "generate", str(file))
    assert file.read_text() == content
    refused(capsys, 1, "generate")
    assert "BACKUP_ENCRYPTION_PASSPHRASE" in refused(capsys, 5, "generate", "--passphrase", str(tmp_path / "second"))
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "a passphrase")
    said = keys(capsys, "generate", "--passphrase", str(tmp_path / "second"))
    assert "BACKUP_ENCRYPTION_RECIPIENTS" in said
    assert b"AGE-SECRET-KEY" not in (tmp_path / "second").read_bytes()
    assert "SECRET" not in said
    monkeypatch.setenv("BACKUP_ENCRYPTION_IDENTITY_FILE", str(tmp_path / "second"))
    [own] = json.loads(keys(capsys, "show", "--json"))["own"]
    assert own.split("…")[0] in said
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "another")
    assert "does not open" in json.loads(keys(capsys, "show", "--json"))["cannot_decrypt"]


def test_show_and_check_tell_what_this_server_can_decrypt(small_zoo, backups, settings, tmp_path, capsys, monkeypatch):
    operator, other = Operator(tmp_path), Operator(tmp_path, "other")
    encrypt_to(settings, operator)
    record = backups.create_backup()
    assert operator.recipient in keys(capsys, "show")
    assert "BACKUP_ENCRYPTION_IDENTITY_FILE" in refused(capsys, 5, "check")
    with other.present():
        assert record.backup_name in refused(capsys, 5, "check")
    with operator.present():
        assert f"{record.backup_name}  can be decrypted" in keys(capsys, "check")
        assert json.loads(keys(capsys, "check", record.file_path, "--json")) == {record.backup_name: ""}
    secret = operator.file.read_text().splitlines()[-1]
    monkeypatch.setenv("BACKUP_ENCRYPTION_IDENTITY", secret)
    assert "can be decrypted" in keys(capsys, "check")
    monkeypatch.setenv("BACKUP_ENCRYPTION_IDENTITY", secret[:-1])
    assert secret[:30] not in refused(capsys, 5, "check")
    settings.BACKUP_ENCRYPTION_RECIPIENTS = []
    refused(capsys, 5, "check")


def test_rekey_gives_old_backups_to_new_recipients_and_leaves_archives_and_sidecars(
    small_zoo, backups, restores, settings, tmp_path, capsys
):
    operator, successor = Operator(tmp_path), Operator(tmp_path, "successor")
    encrypt_to(settings, operator)
    before = small_zoo.rows()
    first, second = backups.create_backup(), backups.create_backup(backup_type="INCREMENTAL")
    others = {path: path.read_bytes() for path in small_zoo.vault.iterdir() if not path.name.endswith(".key.age")}
    encrypt_to(settings, successor)
    with successor.present():
        refused(capsys, 5, "rekey", "--yes")
    with operator.present():
        assert "Nobody can answer here" in refused(capsys, 6, "rekey")
        keys(capsys, "rekey", first.backup_name, "--yes")
    with successor.present():
        assert second.backup_name in refused(capsys, 5, "check")
        assert first.backup_name in keys(capsys, "check", first.backup_name)
    with operator.present():
        refused(capsys, 5, "rekey", "--yes")  # one of them is the successor's by now; none is touched
    with operator.joined(successor).present():
        keys(capsys, "rekey", "--yes")
    assert {path: path.read_bytes() for path in others} == others
    assert len(small_zoo.files()) == len(others) + 2
    assert {path.stat().st_mode & 0o777 for path in small_zoo.vault.iterdir()} == {0o600}
    assert abbreviated(successor.recipient) in BackupLog.objects.first().message
    small_zoo.spoil()
    with successor.present():
        restores.restore_from_backup(second, safety_backup=False)
    assert small_zoo.rows() == before
    settings.BACKUP_ENCRYPTION = False
    plain = backups.create_backup()
    assert plain.backup_name in refused(capsys, 5, "rekey", plain.backup_name, "--yes")


def test_pages_and_lists_show_keys_and_hand_out_both_files(small_zoo, backups, settings, tmp_path, capsys):
    operator = Operator(tmp_path)
    encrypt_to(settings, operator)
    record = backups.create_backup()
    client = browser(person(*ALL))
    page = client.get(at("detail", record)).content.decode()
    assert "without its key file nobody can read" in page
    assert "?part=key" in page
    archive, key = client.get(at("download", record)), client.get(at("download", record) + "?part=key")
    for answer, suffix, kind in (
        (archive, ".age.tar", "application/x-tar"),
        (key, ".key.age", "application/octet-stream"),
    ):
        name = record.backup_name + suffix
        assert b"".join(answer.streaming_content) == (small_zoo.vault / name).read_bytes()
        assert answer["Content-Type"] == kind
        assert f'filename="{name}"' in answer["Content-Disposition"]
    shown = client.get(at("settings")).content.decode()
    assert abbreviated(operator.recipient) in shown
    assert "This server has no key to decrypt with" in shown
    assert "This server has no key to decrypt with" in client.get(at("restore", record)).content.decode()
    assert client.get(reverse("backup:browse_table", args=[record.pk, "zoo.animal"])).status_code == 409
    with operator.present():
        shown = client.get(at("settings")).content.decode()
        assert "This server can decrypt" in shown
        assert operator.file.read_text().splitlines()[-1] not in shown
        assert "no key to decrypt with" not in client.get(at("restore", record)).content.decode()
    call_command("list_backups")
    assert "(encrypted)" in capsys.readouterr().out
    settings.BACKUP_ENCRYPTION = False
    assert client.get(at("download", backups.create_backup()) + "?part=key").status_code == 404
    assert os.environ.get("BACKUP_ENCRYPTION_IDENTITY_FILE") is None

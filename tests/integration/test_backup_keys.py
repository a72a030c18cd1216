"""``backup_keys``: the operators' side of encryption, and what the pages show of it."""

from __future__ import annotations

import json
import stat

import pytest
from django.core.management import CommandError, call_command

from backup_center.engine.errors import Locked, NotFound
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import keyring
from backup_center.services.lease import hold
from tests.integration.forging import archive_path
from tests.integration.pages import ALL, browser, person
from tests.integration.test_page_backup import at
from tests.projects import once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def said(capsys):
    def run(*words: str) -> str:
        call_command("backup_keys", *words)
        return capsys.readouterr().out

    return run


@pytest.fixture
def identity(tmp_path, settings):
    """Encryption is on; the identity's file is not the server's yet."""
    file = tmp_path / "identity.txt"
    settings.BACKUP_ENCRYPTION, settings.BACKUP_ENCRYPTION_RECIPIENTS = True, [keyring.generate(file)]
    return file


def refused(*words: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        call_command("backup_keys", *words)
    return caught.value


def test_a_key_is_made_for_its_owner_alone_and_never_overwritten(tmp_path, said):
    file = tmp_path / "new.txt"
    out = said("generate", str(file))
    secret = file.read_text().splitlines()[-1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret.startswith("AGE-SECRET-KEY-1")
    assert secret not in out
    assert 'BACKUP_ENCRYPTION_RECIPIENTS = ["age1' in out
    error = refused("generate", str(file))
    assert (error.returncode, "never overwritten" in str(error)) == (5, True)
    assert file.read_text().splitlines()[-1] == secret
    assert refused("generate", str(tmp_path / "nowhere" / "key.txt")).returncode == 1


@once
@pytest.mark.slow
def test_a_key_may_be_protected_by_a_passphrase(small_zoo, backups, restores, said, settings, tmp_path, monkeypatch):
    file = tmp_path / "protected.txt"
    assert "BACKUP_ENCRYPTION_PASSPHRASE" in str(refused("generate", str(file), "--protect"))
    assert not file.exists()
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "open sesame")
    recipient = json.loads(said("--json", "generate", str(file), "--protect"))["recipient"]
    assert b"AGE-SECRET-KEY" not in file.read_bytes()
    settings.BACKUP_ENCRYPTION, settings.BACKUP_ENCRYPTION_RECIPIENTS = True, [recipient]
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = file
    record = backups.create_backup()
    assert restores.plan(record).changed == 0
    monkeypatch.delenv("BACKUP_ENCRYPTION_PASSPHRASE")
    with pytest.raises(Locked, match="BACKUP_ENCRYPTION_PASSPHRASE"):
        restores.plan(record)


def test_keys_are_not_changed_while_another_writes_or_of_what_was_deleted(small_zoo, backups, identity, settings):
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = identity
    record = backups.create_backup()
    with hold("cleanup"):
        assert refused("rekey").returncode == 3
    backups.delete_backup(BackupRecord.objects.get())
    with pytest.raises(NotFound):
        keyring.rekey([record])
    assert not small_zoo.files()


def test_lists_say_what_is_encrypted(small_zoo, backups, identity, settings, admin_client, capsys):
    record, open_one = backups.create_backup(), plain(backups, settings)
    call_command("list_backups", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert {each["name"]: each["encrypted"] for each in facts} == {
        record.backup_name: True, open_one.backup_name: False,
    }  # fmt: skip
    call_command("list_backups")
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(record.backup_name) for line in lines if "encrypted" in line] == [True]
    page = admin_client.get("/backup/").content.decode()
    assert page.count('<span class="bc-status">encrypted</span>') == 1


def test_show_tells_who_can_open_and_no_secret(identity, said, settings):
    [recipient] = settings.BACKUP_ENCRYPTION_RECIPIENTS
    assert "its identity is not here" in said("show")
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = identity
    out = said("show")
    assert f"{recipient}  (this server has its identity)" in out
    assert "SECRET" not in out
    facts = json.loads(said("--json", "show"))
    assert (facts["recipients"], facts["opens"], facts["problem"]) == ([recipient], [recipient], "")
    settings.BACKUP_ENCRYPTION_RECIPIENTS = []
    assert "nobody could open" in said("show")


def test_check_names_what_can_not_be_opened(small_zoo, backups, identity, said, settings):
    record = backups.create_backup()
    error = refused("check")
    assert (error.returncode, record.backup_name in str(error)) == (Locked.exit_code, True)
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = identity
    assert f"{record.backup_name}  can be opened" in said("check")
    assert json.loads(said("--json", "check", record.backup_name)) == {"backups": {record.backup_name: ""}}


def test_rekey_gives_keys_to_other_recipients_and_touches_nothing_else(
    small_zoo, backups, restores, identity, said, settings, tmp_path
):
    record, other, rows = backups.create_backup(), backups.create_backup(), small_zoo.rows()
    untouched = {path: path.read_bytes() for path in small_zoo.vault.iterdir() if not path.name.endswith(".key.age")}
    successor = tmp_path / "successor.txt"
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [keyring.generate(successor)]
    error = refused("rekey")
    assert (error.returncode, "No key was changed" in str(error)) == (Locked.exit_code, True)
    assert BackupLog.objects.filter(refused=True, message__startswith="No key was changed").count() == 1

    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = identity
    assert "1 backups can be opened" in said("rekey", record.backup_name)
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = successor
    assert {path: path.read_bytes() for path in untouched} == untouched
    assert "can be opened" in said("check", record.backup_name)
    assert refused("check", other.backup_name).returncode == Locked.exit_code
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == rows


def test_rekey_of_what_is_not_encrypted_is_refused(small_zoo, backups, identity, settings):
    settings.BACKUP_ENCRYPTION = False
    plain = backups.create_backup()
    assert refused("rekey").returncode == 5
    settings.BACKUP_ENCRYPTION = True
    assert "is not encrypted" in str(refused("rekey", plain.backup_name))


def test_pages_show_the_state_of_keys_and_hand_out_every_part(small_zoo, backups, identity, settings):
    client = browser(person(*ALL))
    record = backups.create_backup()
    page = client.get(at("detail", record)).content.decode()
    assert "the key file" in page
    for part, suffix in (("", ".age.tar"), ("manifest", ".manifest.json"), ("key", ".key.age")):
        answer = client.get(at("download", record), {"part": part} if part else {})
        path = archive_path(record).with_name(record.backup_name + suffix)
        assert b"".join(answer.streaming_content) == path.read_bytes()
        assert path.name in answer["Content-Disposition"]
    assert client.get(at("download", record), {"part": "../x"}).status_code == 404
    page = client.get("/backup/settings/").content.decode()
    assert "it makes encrypted backups and can&#x27;t read them" in page
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = identity
    page = client.get("/backup/settings/").content.decode()
    assert "This server can open encrypted backups." in page
    assert "SECRET-KEY" not in page
    assert "the key file" not in client.get(at("detail", plain(backups, settings))).content.decode()


def plain(backups, settings):
    settings.BACKUP_ENCRYPTION = False
    return backups.create_backup()

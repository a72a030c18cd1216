"""Encrypted backups: a server makes them, incrementals too, and can't read them; with the key they are as any other."""

from __future__ import annotations

import pytest

from backup_center.engine.errors import NoKey
from backup_center.models import BackupRecord
from tests.integration.encrypting import Operator, encrypt_to
from tests.zoo.models import Animal


@pytest.fixture
def operator(tmp_path, settings) -> Operator:
    found = Operator(tmp_path)
    encrypt_to(settings, found)
    return found


def test_a_server_without_a_key_takes_incrementals_and_only_the_key_brings_rows_back(
    small_zoo, operator, backups, restores
):
    before = small_zoo.rows()
    full = backups.create_backup()
    Animal.objects.filter(weight=500).update(name="a change")
    changed = small_zoo.rows()
    second = backups.create_backup(backup_type="INCREMENTAL")
    assert full.is_encrypted
    assert second.is_encrypted
    assert second.parent == full
    assert set(second.needs) == {str(full.backup_id), str(second.backup_id)}
    assert second.file_size < full.file_size
    assert small_zoo.files() == {
        record.backup_name + suffix
        for record in (full, second)
        for suffix in (".age.tar", ".key.age", ".manifest.json")
    }
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    for attempt in (restores.plan, restores.restore_from_backup):
        with pytest.raises(NoKey, match="BACKUP_ENCRYPTION_IDENTITY_FILE"):
            attempt(second)
    assert small_zoo.rows() == spoiled
    with operator.present():
        restores.restore_from_backup(second)
        assert small_zoo.rows() == changed
        restores.restore_from_backup(full)
        assert small_zoo.rows() == before
        for record in BackupRecord.objects.all():
            assert backups.verify_backup(record, deep=True) == []

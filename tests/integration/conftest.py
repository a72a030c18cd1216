"""A small zoo whose backups have several chunks, for tests that need many backups of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import django
import pytest
from django.core import mail
from django.db import connection, connections

from backup_center import registry
from backup_center.models import BackupRecord
from tests.conftest import raw_rows
from tests.integration.encrypting import Operator
from tests.integration.killing import Child
from tests.zoo.models import Animal, Keeper

ANIMALS = 1200
FILL = """
WITH RECURSIVE numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < %(animals)s)
INSERT INTO zoo_animal (name, notes, keeper_id, weight)
SELECT '猫 ' || number, '', %(keeper)s + number %% 3, number FROM numbers
"""


@pytest.fixture(autouse=True)
def _no_child_outlives_its_test() -> Iterator[None]:
    yield
    for child in list(Child.alive):
        child.kill()


class SmallZoo:
    """Three tables of the zoo, and what can happen to them."""

    def __init__(self, vault: Path) -> None:
        self.vault = vault
        keepers = Keeper.objects.bulk_create(Keeper(name=f"keeper {number}") for number in range(3))
        with connection.cursor() as cursor:  # ten times as fast as objects are, and hundreds of tests begin here
            cursor.execute(FILL, {"animals": ANIMALS, "keeper": keepers[0].pk})
        Animal.objects.first().friends.add(Animal.objects.last())

    def rows(self) -> list[list[tuple[object, ...]]]:
        return [raw_rows(model._meta.db_table) for model in (Keeper, Animal, Animal.friends.through)]

    def spoil(self) -> None:
        """What a restore is for."""
        Animal.objects.filter(weight__lt=700).update(name="?")
        Animal.objects.filter(weight__gt=1000).delete()

    def files(self) -> set[str]:
        return {path.name for path in self.vault.iterdir()} if self.vault.exists() else set()

    def forget(self, *, but: BackupRecord) -> None:
        """Leave one backup, so that the next look is at few."""
        for record in BackupRecord.objects.exclude(pk=but.pk):
            record.delete()
        for path in self.vault.iterdir():
            if not path.name.startswith(but.backup_name + "."):
                path.unlink()


@pytest.fixture
def small_zoo(transactional_db, backup_dir, settings, monkeypatch) -> SmallZoo:
    settings.BACKUP_DATA_TYPES = {
        "ZOO": {"label": "Animals", "models": ["zoo.Keeper", "zoo.Animal"], "stats": "animals"},
    }
    # Neither models nor settings change within a test, and finding them anew would take most of its time.
    for name in ("covered_models", "data_types"):
        monkeypatch.setattr(registry, name, cache(getattr(registry, name)))
    return SmallZoo(backup_dir)


@pytest.fixture
def database_folder() -> Path:
    """Where the SQLite database is."""
    return Path(connection.settings_dict["NAME"]).parent


@pytest.fixture
def in_journal_mode():
    """Run a block with the SQLite database in another journal mode; afterwards it is in WAL again."""

    @contextmanager
    def switched(mode: str) -> Iterator[None]:
        usual = connection.settings_dict["OPTIONS"]
        _reconnect(usual | {"init_command": f"PRAGMA journal_mode={mode}"})
        try:
            yield
        finally:
            _reconnect(usual)

    return switched


@pytest.fixture
def in_short_patience():
    """Run a block in which Django doesn't wait long for a SQLite database that is locked."""

    @contextmanager
    def hurried() -> Iterator[None]:
        usual = connection.settings_dict["OPTIONS"]
        _reconnect(usual | ({"timeout": 0.2} if connection.vendor == "sqlite" else {}))
        try:
            yield
        finally:
            _reconnect(usual)

    return hurried


def _reconnect(options: dict[str, object]) -> None:
    connection.settings_dict["OPTIONS"] = options
    connections.close_all()
    connection.ensure_connection()


@pytest.fixture
def small_chunks(monkeypatch):
    """A few rows in a chunk, so that few rows have many borders; no look at models that never change."""
    from backup_center.engine import incremental
    from backup_center.engine.dialects.postgresql import reading as postgresql
    from backup_center.engine.dialects.sqlite import reading as sqlite

    for module in (postgresql, sqlite, incremental):
        monkeypatch.setattr(module, "CHUNK_ROWS", 4)
    monkeypatch.setattr(sqlite, "STEP", 3)
    for name in ("covered_models", "data_types"):
        monkeypatch.setattr(registry, name, cache(getattr(registry, name)))


@pytest.fixture
def mailbox(settings):
    """Alarms go by e-mail, which stays in memory."""
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    settings.BACKUP_SITE_NAME, settings.BACKUP_SITE_URL = "mall", "https://mall.example.com"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    return mail.outbox


@pytest.fixture
def legacy(settings, schema):
    """A table as another program made it, alone in its data type."""
    settings.BACKUP_DATA_TYPES = {"ONE": {"models": ["zoo.Legacy"]}, "REST": {"models": ["*"]}}

    def make(columns: str) -> None:
        schema(f"CREATE TABLE legacy ({columns})")

    return make


@pytest.fixture
def people(tmp_path, settings):
    folder = tmp_path / "people"
    folder.mkdir()
    return lambda: Operator(folder, settings)


@pytest.fixture
def operator(people, settings) -> Operator:
    """Encryption is on, for one recipient; the server has no key."""
    someone = people()
    settings.BACKUP_ENCRYPTION = True
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [someone.recipient]
    return someone

"""One record is found in a backup by one chunk, whatever sorts the keys: held against looking at every row."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.db import connection

from backup_center import registry
from backup_center.engine import contents
from backup_center.engine.records import Seeker
from backup_center.engine.values import encode_key
from backup_center.services import catalogue
from backup_center.services.connecting import engine_connection
from tests.integration.histories import KEYS
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)
POSTGRESQL = connection.vendor == "postgresql"

MORE_KEYS = {
    "bytes": (f"id {'bytea' if POSTGRESQL else 'blob'} PRIMARY KEY, name text",
              [f"'\\x{n:02x}'" if POSTGRESQL else f"x'{n:02x}'" for n in range(0, 256, 5)]),
    "dates": ("id timestamp PRIMARY KEY, name text", [f"'20{n:02d}-03-04 05:06:07'" for n in range(60)]),
    "composite": (
        "id varchar(10), part integer, name text, PRIMARY KEY (id, part)",
        [f"'{word}', {n}" for word in ("a", "B", "ä", "中", "") for n in range(-3, 9)],
    ),
    "amounts": ("id numeric(20, 5) PRIMARY KEY, name text", [f"{n}.5" for n in range(-30, 30)]),
    "unbounded amounts": ("id numeric PRIMARY KEY, name text", [f"{n}.50" for n in range(-30, 30)]),
    "reals": (f"id {'double precision' if POSTGRESQL else 'real'} PRIMARY KEY, name text",
              [f"{n}.25" for n in range(-30, 30)]),
}  # fmt: skip
if POSTGRESQL:
    MORE_KEYS["any case"] = (
        "id text COLLATE any_case PRIMARY KEY, name text",
        [f"'{word}{n}'" for word in ("anna", "BERT", "Çelik", "zoë") for n in range(15)],
    )
    MORE_KEYS["C"] = ('id text COLLATE "C" PRIMARY KEY, name text', [f"'{c}{n}'" for c in "aAäZz" for n in range(12)])
    MORE_KEYS["padded"] = ("id char(6) PRIMARY KEY, name text", [f"'k{n}'" for n in range(60)])
else:
    MORE_KEYS["bare case"] = ("id text COLLATE NOCASE, name text", [f"'{c}{n}'" for c in "aBäZz" for n in range(12)])
ALL_KEYS = {**KEYS, **MORE_KEYS}


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """The numbers of the chunks that were read."""
    seen: list[int] = []
    usual = contents.chunk_rows

    def noted(table, index, source):
        seen.append(index)
        return usual(table, index, source)

    monkeypatch.setattr("backup_center.engine.records.chunk_rows", noted)
    return seen


class Look:
    """A backup of ``legacy`` and the live table, side by side."""

    def __init__(self, record, spec, engine):
        vault = catalogue.get_vault()
        sidecar = catalogue.open_sidecar(record, vault)
        self.manifest = sidecar.manifest
        self.source = catalogue.source(sidecar.manifest, vault)
        self.table = self.manifest.table("zoo.legacy")
        self.engine = engine
        self.live = next(iter(engine.describe([spec])[0]), None)
        self.rows = list(contents.rows_of(self.table, self.source))

    def key_of(self, row):
        return [row[self.table.names.index(name)] for name in self.table.key]

    def seeker(self, key) -> Seeker:
        return Seeker(key if self.live is None else self.engine.stored_key(self.live, key), self.live, self.engine)

    def seek(self, key):
        return self.seeker(key).rows(self.table, self.manifest, self.source)


@contextmanager
def looking_at(record):
    [spec] = [spec for spec in registry.table_specs("default") if spec.label == "zoo.legacy"]
    with engine_connection("default") as engine, engine.asking([spec]):
        yield Look(record, spec, engine)


@pytest.fixture
def make(small_chunks, legacy, schema, monkeypatch):
    """The table, with rows under half of its kind's keys; returns the other half."""

    def fill(kind: str) -> list[str]:
        random.seed(kind)
        columns, keys = ALL_KEYS[kind]
        legacy(columns)
        if kind == "composite":
            usual = registry.table_specs
            key = {"zoo.legacy": ("id", "part")}
            monkeypatch.setattr(
                registry, "table_specs",
                lambda alias: [replace(spec, key=key.get(spec.label, spec.key)) for spec in usual(alias)],
            )  # fmt: skip
        chosen = random.sample(keys, len(keys) // 2)
        rows = chosen if "PRIMARY" in columns else random.choices(chosen, k=3 * len(chosen))
        schema(*[f"INSERT INTO legacy VALUES ({key}, '{number}')" for number, key in enumerate(rows)])
        return [key for key in keys if key not in chosen and key != "NULL"]

    return fill


def same(kind: str, key, other) -> bool:
    return key == other or (kind == "bare case" and key[0].lower() == other[0].lower())


@pytest.mark.parametrize("kind", ALL_KEYS)
def test_every_record_is_found_by_reading_one_chunk(kind, make, backups, reads):
    make(kind)
    with looking_at(backups.create_backup(["ONE"])) as look:
        assert len(look.table.chunks) > 1
        for key in map(look.key_of, look.rows):
            if None in key:  # nobody can ask for it
                continue
            expected = [row for row in look.rows if same(kind, look.key_of(row), key)]
            reads.clear()
            assert look.seek(key) == expected
            assert len(reads) == 1
            assert sorted(look.engine.rows_with_key(look.live, key)) == sorted(expected)


@pytest.mark.parametrize("kind", ALL_KEYS)
def test_what_is_not_there_is_not_found(kind, make, backups, reads):
    others = make(kind)
    with looking_at(backups.create_backup(["ONE"])) as look:
        for literal in others:
            [key] = look.engine.query(f"SELECT {literal}")
            key = list(key) if POSTGRESQL else encode_key(key)
            if not any(same(kind, look.key_of(row), key) for row in look.rows):
                reads.clear()
                assert look.seek(key) == []
                assert look.engine.rows_with_key(look.live, look.engine.stored_key(look.live, key)) == []
                assert len(reads) <= 1


def test_keys_that_are_equal_to_the_database_are_one(make, backups):
    """Written in another way, but the same record."""
    kind, asked = ("any case", "ANNA3") if POSTGRESQL else ("bare case", "A3")
    make(kind)
    with looking_at(backups.create_backup(["ONE"])) as look:
        expected = [row for row in look.rows if row[0].lower() == asked.lower()]
        assert look.seek([asked]) == expected


@pytest.mark.parametrize("kind", ["language", "uuids", "numbers", "dates", "composite"])
def test_a_table_that_is_gone_or_sorted_otherwise_is_read_through(kind, make, schema, backups, reads):
    make(kind)
    record = backups.create_backup(["ONE"])
    if kind == "language":
        schema("DROP TABLE legacy", "CREATE TABLE legacy (id varchar(20) PRIMARY KEY, name text)")
    else:
        schema("DROP TABLE legacy")
    with looking_at(record) as look:
        for row in look.rows:
            key = look.key_of(row)
            reads.clear()
            assert look.seek(key if kind == "language" else [str(part) for part in key]) == [row]
            in_one = kind == "numbers" and POSTGRESQL
            assert len(reads) == (1 if in_one else len(look.table.chunks))
        assert look.seek(["no such key"] * len(look.table.key)) == []


def test_a_borrowed_chunk_is_read_once(small_zoo, backups, reads):
    Animal.objects.filter(weight=7).update(name="before")
    records = [backups.create_backup()]
    for number in range(5):
        Animal.objects.filter(weight=1000 + number).update(name="far away")
        records.append(backups.create_backup(backup_type="INCREMENTAL"))
    [spec] = [spec for spec in registry.table_specs("default") if spec.label == "zoo.animal"]
    key = Animal.objects.get(weight=7).pk
    vault = catalogue.get_vault()
    with engine_connection("default") as engine, engine.asking([spec]):
        [live], _missing = engine.describe([spec])
        seeker = Seeker(engine.stored_key(live, [key]), live, engine)
        for record in records:
            sidecar = catalogue.open_sidecar(record, vault)
            source = catalogue.source(sidecar.manifest, vault)
            [row] = seeker.rows(sidecar.manifest.table("zoo.animal"), sidecar.manifest, source)
            assert "before" in row
    assert len(reads) == 1


@pytest.mark.parametrize("value", [10**30, -(10**30), "\ud800", "x" * 1000, "\0", "7 or 1=1", "", "1e3"])
@pytest.mark.parametrize("kind", ["numbers", "uuids", "language"])
def test_what_no_column_holds_is_nobodys_key(kind, value, make, backups):
    make(kind)
    with looking_at(backups.create_backup(["ONE"])) as look:
        stored = look.engine.stored_key(look.live, [value])
        assert stored is None or look.seek([value]) == []
        assert look.seek(look.key_of(look.rows[0])) == [look.rows[0]]  # the session goes on

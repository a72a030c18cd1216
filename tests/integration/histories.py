"""Random histories of one table, under every kind of key. Few keys, so that histories meet again and again."""

from __future__ import annotations

import random
import uuid

from django.db import connection

from tests.zoo.models import LANGUAGE_ORDER

POSTGRESQL = connection.vendor == "postgresql"
HISTORIES = 10
UUID, SERIAL = ("uuid", "bigint") if POSTGRESQL else ("char(32)", "integer")

# The table, and the keys that may stand in it: few, so that histories meet again and again.
KEYS = {
    "numbers": (f"id {SERIAL} PRIMARY KEY, name text", [str(number) for number in range(-20, 60)]),
    "language": (
        f'id varchar(20) COLLATE "{LANGUAGE_ORDER}" PRIMARY KEY, name text',
        [f"'{first}{rest}'" for first in "aäBz中_ " for rest in ("", "e", "é", "z", "-a", " ", "1", "10")],
    ),
    "uuids": (
        f"id {UUID} PRIMARY KEY, name text",
        [f"'{uuid.UUID(int=number**9).hex}'" for number in range(60)],
    ),
    "claimed": ("id integer, name text", ["NULL", "1", "2", "3", *map(str, range(10, 25))]),
}  # fmt: skip
BLOBS = [f"x'{number:02x}'" for number in range(0, 256, 16)]
if not POSTGRESQL:
    mixed = ["9e999", "-9e999", "1.5", "'1'", "'a'", "'A'", "-7", *BLOBS, *map(str, range(12))]
    KEYS["mixed"] = ("id PRIMARY KEY, name text", mixed)
    KEYS["mixed and null"] = ("id, name text", ["NULL", *mixed])


def rows() -> list[tuple[str, str]]:
    """Key and name, as the database itself prints them."""
    text = "id::text, name" if POSTGRESQL else "quote(id), name"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {text} FROM legacy")
        return cursor.fetchall()


def some_history(keys: list[str], *, repeat: bool) -> list[str]:
    """A few rows more, fewer, and others; under their keys or others."""
    statements = []
    for key in random.sample(keys, random.randint(0, len(keys) // 3)):
        same = "id IS NULL" if key == "NULL" else f"id = {key}"
        statements += random.choice(
            [
                [f"DELETE FROM legacy WHERE {same}"],
                [f"UPDATE legacy SET name = 'changed' WHERE {same}"],
                [f"DELETE FROM legacy WHERE {same}", f"INSERT INTO legacy VALUES ({key}, 'new')"],
                [f"INSERT INTO legacy VALUES ({key}, 'more')"] if repeat else [],
            ]
        )
    return statements


def some_rows(keys: list[str], *, repeat: bool) -> list[str]:
    chosen = random.choices(keys, k=2 * len(keys)) if repeat else random.sample(keys, random.randint(0, len(keys)))
    return [f"INSERT INTO legacy VALUES ({key}, '{random.randint(0, 2)}')" for key in chosen]

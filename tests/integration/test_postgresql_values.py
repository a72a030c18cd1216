"""What only PostgreSQL stores: each value travels as the server's own text, each change is seen by its digest."""

import datetime as dt
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange

if not settings.ON_POSTGRESQL:
    pytest.skip("PostgreSQL only", allow_module_level=True)

from tests.postgres_zoo.models import AnyCase, Arrays, Ranges

pytestmark = pytest.mark.django_db(transaction=True)

EVERY_TYPE = {
    "money": ["-1234567.89", "0.01"],
    "bit(3)": ["B'101'"],
    "bit varying": ["B'10'", "B''"],
    '"char"': ["'x'", "''"],
    "character(5)": ["'a'", "'a b'"],
    "name": ["'x'"],
    "citext": ["'Straße'", "'straße'"],
    "real": ["0.1", "'NaN'", "'-Infinity'", "1.17549435e-38", "-0.0"],
    "double precision": ["0.1", "'Infinity'", "5e-324", "1.7976931348623157e308"],
    "numeric": ["1.0", "1.00", "'NaN'", "'Infinity'", "1e-1000", "1e1000"],
    "numeric(5, -2)": ["12300"],
    "date": ["'infinity'", "'4713-01-01 BC'", "'5874897-12-31'"],
    "time with time zone": ["'23:59:59.999999+15:59'", "'24:00'"],
    "timestamp": ["'0044-03-15 12:00:00.000001 BC'", "'294276-12-31 23:59:59.999999'"],
    "timestamptz": ["'-infinity'", "'4713-01-01 00:00:00+00 BC'"],
    "interval": ["'1 month'", "'30 days'", "'-178000000 years'", "'1 year -2 days 03:04:05.000006'"],
    "inet": ["'192.168.0.1/24'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "point": ["'(1e300,-0.1)'"],
    "line": ["'{1,2,3}'"],
    "box": ["'((1,2),(3,4))'"],
    "path": ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"],
    "polygon": ["'((0,0),(1,1),(1,0))'"],
    "circle": ["'<(0,0),1.5>'"],
    "json": ["""'{"b" : 1.0, "a":1,"a":2}'"""],
    "jsonb": ["""'{"b": 1.0}'""", """'{"b": 1.00}'""", "'1e400'"],
    "jsonpath": ["'$.a[*] ? (@ > 1)'"],
    "xml": ["'<a>1</a><b/>'", "'text'"],
    "tsvector": ["'a:1A cat:2B'"],
    "tsquery": ["'a & !b'"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'"],
    "pg_lsn": ["'16/B374D848'"],
    "regclass": ["'pg_class'"],
    "oid": ["4294967295"],
    "bytea": ["'\\x00ff5c'", "''"],
    "int4range": ["'empty'", "'[1,5)'", "'(,)'"],
    "nummultirange": ["'{[1.0,1.5),(2,)}'"],
    "integer[]": ["'[0:1]={1,NULL}'", "'{}'", "'{{1,2},{3,4}}'"],
    "text[]": ["""'{"NULL",NULL,"","a,b","\\"","\\\\"}'"""],
    "hstore": ["""'"a"=>NULL, "b"=>"NULL", ""=>"\\""'"""],
    "mood": ["'so so'"],
    "pair": ["(1, 'a,\"b')", "(NULL, '')"],
    "short": ["'abc'"],
}


@pytest.fixture
def own_types(schema):
    schema(
        "CREATE TYPE mood AS ENUM ('so so', 'happy')",
        "CREATE TYPE pair AS (number integer, word text)",
        "CREATE DOMAIN short AS text CHECK (length(VALUE) < 9)",
    )
    yield
    schema("DROP TABLE legacy", "DROP TYPE mood", "DROP TYPE pair", "DROP DOMAIN short")


def test_every_type_of_the_server(own_types, schema, comes_back):
    columns = ", ".join(f"c{index} {kind}" for index, kind in enumerate(EVERY_TYPE))
    schema(f"CREATE TABLE legacy (id serial PRIMARY KEY, name text, {columns})", "INSERT INTO legacy DEFAULT VALUES")
    for index, values in enumerate(EVERY_TYPE.values()):
        schema(*(f"INSERT INTO legacy (c{index}) VALUES ({value})" for value in values))
    comes_back()


WRITING = {
    "DateStyle": "'SQL, DMY'", "IntervalStyle": "'sql_standard'", "extra_float_digits": "-5",
    "bytea_output": "'escape'", "TimeZone": "'Asia/Kathmandu'",
}  # fmt: skip
READING = {"xmloption": "'document'", "array_nulls": "off", "DateStyle": "'SQL, MDY'"}


def test_settings_of_the_database_do_not_change_values(own_types, schema, backups, restores, rows_of_everything):
    """Taken under one meaning of "01/02/2026", restored under another."""
    kinds = ("date", "interval", "double precision", "bytea", "timestamptz", "money", "xml", "text[]")
    columns = ", ".join(f"c{index} {kind}" for index, kind in enumerate(kinds))
    schema(f"CREATE TABLE legacy (id serial PRIMARY KEY, name text, {columns})")
    for index, kind in enumerate(kinds):
        schema(*(f"INSERT INTO legacy (c{index}) VALUES ({value})" for value in EVERY_TYPE[kind]))
    before = rows_of_everything()
    database = f"ALTER DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])}"
    try:
        schema(*(f"{database} SET {name} = {value}" for name, value in WRITING.items()))
        record = backups.create_backup(["ZOO"])
        schema(f"{database} RESET ALL", *(f"{database} SET {name} = {value}" for name, value in READING.items()))
        schema("DELETE FROM legacy")
        restores.restore_from_backup(record)
    finally:
        schema(f"{database} RESET ALL")
    assert rows_of_everything() == before


def test_fields_of_django_contrib_postgres(comes_back):
    Arrays.objects.create()
    Arrays.objects.create(numbers=[], words=[], pairs={}, data={}, search="")
    Arrays.objects.create(
        numbers=[1, None, -(2**31)], words=[["a", "NULL"], ['"', "\\"], ["{", ",\n"]], pairs={"a": None, "": "NULL"},
        data={"𠮷": [1.0, None]}, search="a:1 cat:2B",
    )  # fmt: skip
    moment = dt.datetime(2026, 1, 1, microsecond=1, tzinfo=dt.UTC)
    Ranges.objects.create()
    Ranges.objects.create(
        integers=NumericRange(1, 5), bigs=NumericRange(None, 2**62), decimals=NumericRange(Decimal("1.50"), None, "[)"),
        moments=DateTimeTZRange(moment, None), days=DateRange(dt.date(2026, 1, 1), dt.date(9999, 12, 31)),
    )  # fmt: skip
    Ranges.objects.create(integers=NumericRange(empty=True))
    comes_back()


def test_keys_that_are_equal_in_any_case(comes_back):
    AnyCase.objects.bulk_create(
        AnyCase(word=f"{'Ä' if number % 2 else 'ä'}{number}", text="A") for number in range(700)
    )
    comes_back()


EQUAL_BUT_NOT_THE_SAME = {
    'text COLLATE "any_case"': ("'anna'", "'ANNA'"),
    "citext": ("'anna'", "'ANNA'"),
    "numeric": ("1.0", "1.00"),
    "numeric[]": ("'{1.0}'", "'{1.00}'"),
    "interval": ("'1 month'", "'30 days'"),
    "jsonb": ("'1.0'", "'1.00'"),
    "double precision": ("0.0", "'-0'"),
    "bit(2)": ("B'01'", "B'10'"),
    "character(3)": ("'a'", "'b'"),
    "json": ("'[1]'", "'[ 1]'"),
    "point": ("'(0,0)'", "'(0,1e-9)'"),
}


def test_values_that_are_equal_and_not_the_same_are_told_apart(schema, backups, restores, rows_of_everything):
    columns = ", ".join(f"c{index} {kind}" for index, kind in enumerate(EQUAL_BUT_NOT_THE_SAME))
    values = ", ".join(one for one, _other in EQUAL_BUT_NOT_THE_SAME.values())
    schema(f"CREATE TABLE legacy (id integer PRIMARY KEY, {columns})", f"INSERT INTO legacy VALUES (1, {values})")
    before = rows_of_everything()
    record = backups.create_backup(["ZOO"])
    for index, (kind, (one, other)) in enumerate(EQUAL_BUT_NOT_THE_SAME.items()):
        schema(f"UPDATE legacy SET c{index} = {other}")
        assert not _is_same(restores.plan(record)), kind
        schema(f"UPDATE legacy SET c{index} = {one}")
    assert _is_same(restores.plan(record))
    schema(*(f"UPDATE legacy SET c{index} = {two[1]}" for index, two in enumerate(EQUAL_BUT_NOT_THE_SAME.values())))
    restores.restore_from_backup(record)
    assert rows_of_everything() == before


def _is_same(plan) -> bool:
    return next(change.same for change in plan.plan.tables if change.label == "zoo.legacy")

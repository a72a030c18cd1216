"""Every field that Django ships, with the values at its edges: what comes back is what was there."""

import datetime as dt
import json
import sys
import uuid
from decimal import Decimal

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import fields as shipped
from django.db.models.fields import files, related
from django.db.models.fields import json as json_fields

from tests.zoo.models import Computed, Moment, Numbers, Texts, Times, Uuid

pytestmark = pytest.mark.django_db(transaction=True)

UTC = dt.UTC
# Bases, and what only old migrations may use.
NOT_A_COLUMN = {
    "Field", "RelatedField", "ForeignObject", "CommaSeparatedIntegerField", "IPAddressField", "NullBooleanField",
}  # fmt: skip
EVERY_CHARACTER = "".join(map(chr, (*range(1, 0xD800, 7), *range(0xE000, 0x110000, 997))))


def test_the_zoo_has_every_field_that_django_ships():
    modules = (shipped, files, json_fields, related)
    known = {
        name
        for module in modules
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, models.Field) and kind.__module__ == module.__name__
    }
    known |= {"GeneratedField", "CompositePrimaryKey"}
    own = [field for model in apps.get_app_config("zoo").get_models() for field in model._meta.local_fields]
    many = [field for model in apps.get_app_config("zoo").get_models() for field in model._meta.local_many_to_many]
    used = {type(field).__name__ for field in (*own, *many)}
    assert known - NOT_A_COLUMN - used == set()


def test_numbers(comes_back):
    Numbers.objects.create()
    Numbers.objects.create(
        small=-32768, integer=-(2**31), big=-(2**63), positive_small=0, positive=0, positive_big=0,
        real=-sys.float_info.max, money=Decimal("-99999999999999999999.9999999999"), yes=False,
    )  # fmt: skip
    Numbers.objects.create(
        small=32767, integer=2**31 - 1, big=2**63 - 1, positive_small=32767, positive=2**31 - 1,
        positive_big=2**63 - 1, real=sys.float_info.min, money=Decimal("0.0000000001"), yes=True,
    )  # fmt: skip
    for real in (0.1, 1 / 3, 5e-324, 1e22, -0.0, 123456789012345680.0, 2.0**53 + 2, 1e15, 1e16):
        Numbers.objects.create(real=real)
    for money in ("0.1", "-0.0000000001", "12345678901234567890.0123456789", "1E+18", "100"):
        Numbers.objects.create(money=Decimal(money))
    comes_back()


def test_infinities_and_not_a_number(comes_back):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for text in ("NaN", "Infinity", "-Infinity"):
                cursor.execute("INSERT INTO zoo_numbers (real) VALUES (%s)", [text])
            cursor.execute("INSERT INTO zoo_numbers (money) VALUES ('NaN')")
            cursor.execute("INSERT INTO zoo_times (day, moment) VALUES ('infinity', '-infinity'), ('-infinity', null)")
        else:  # SQLite has no word for them, but overflows to them, and stores NaN as NULL
            for text in ("9e999", "-9e999", "9e999 - 9e999"):
                cursor.execute(f"INSERT INTO zoo_numbers (real, money) VALUES ({text}, {text})")
    comes_back()


def test_texts(comes_back):
    Texts.objects.create()
    Texts.objects.create(char="", text="", slug="", email="", url="", file="", path="")
    for text in (
        "𠮷野家 👩‍👩‍👧‍👦 İ ß ﷽",
        "\\N", "\\.", "\\", "\\\\N", "NULL", "null", '"', "'", '","', '"],["', "\\v", "a\\tb", "{\"$blob\": \"\"}",
        "tab\tnewline\ncarriage\r\nback\bform\fvertical\vbell\aescape\x1bdelete\x7f",
        " leading and trailing ", "\u2028\u2029\ufeff\ufffd\uffff",
    ):  # fmt: skip
        Texts.objects.create(char=text, text=text * 3, slug="缓存", file=text[:50], data={text: [text, None]})
    Texts.objects.create(text=EVERY_CHARACTER)
    if connection.vendor == "sqlite":
        Texts.objects.create(char="NUL\0inside", text="\0")
    comes_back()


def test_binary_with_nul_and_every_byte(comes_back):
    for binary in (b"", b"\0", bytes(range(256)), b"\0" * 1000, b"\\x00", b'{"$blob": "AA=="}'):
        Texts.objects.create(binary=binary)
    comes_back()


def test_json(comes_back):
    for data in (
        None, models.Value(None, models.JSONField()), [], {}, "", 0, -0.0, 1e300, 2**53 + 1, True,
        {"": {"深": [1, 1.0, None, {"$blob": "x", "$real": "inf"}]}}, [[["\u0001\"\\"]]],
    ):  # fmt: skip
        Texts.objects.create(data=data)
    with connection.cursor() as cursor:  # as another program writes it: SQLite keeps spaces and order
        cursor.execute("INSERT INTO zoo_texts (data) VALUES (%s)", [json.dumps({"b": 1, "a": 2.50}, indent=4)])
    comes_back()


def test_addresses_and_paths(comes_back):
    for address in ("0.0.0.0", "255.255.255.255", "::", "2001:db8::ff00:42:8329", "::ffff:192.0.2.128"):  # noqa: S104
        Texts.objects.create(address=address, url="https://例え.jp/?q=%20", email="a+b@例え.jp", image="图/1.png")
    comes_back()


def test_times_to_the_microsecond_and_at_the_ends_of_the_calendar(comes_back):
    Times.objects.create()
    for moment in (
        dt.datetime(1, 1, 1, tzinfo=UTC),
        dt.datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
        dt.datetime(1883, 11, 18, 12, 0, 0, 1, tzinfo=UTC),
        dt.datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    ):
        Times.objects.create(day=moment.date(), moment=moment, time=moment.time())
    for duration in (dt.timedelta.min, dt.timedelta.max, dt.timedelta(microseconds=-1)):
        if connection.vendor == "postgresql" or abs(duration.days) < 10**8:  # SQLite counts microseconds in 64 bits
            Times.objects.create(duration=duration)
    Moment.objects.create(at=dt.datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC))
    Moment.objects.create(at=dt.datetime(2026, 1, 1, 0, 0, 0, 0, tzinfo=UTC))
    comes_back()


def test_what_the_database_fills_in_stays_as_it_was(comes_back):
    for name in ("cat", "straße"):
        Computed.objects.create(name=name)
    Computed.objects.create(name="dog", level=0, stamp=dt.datetime(2020, 2, 29, tzinfo=UTC))
    comes_back()
    Computed.objects.create(name="new")
    assert Computed.objects.get(name="new").loud == "NEW"
    assert Computed.objects.get(name="new").level == 7


def test_a_row_of_three_mebibytes_among_small_ones(comes_back):
    for text in ("small", "𠮷" * (3 * 2**18), "small again"):
        Texts.objects.create(text=text, binary=text.encode()[:1000])
    comes_back()


def test_more_rows_than_fit_one_chunk(comes_back):
    Uuid.objects.bulk_create(Uuid(id=uuid.uuid5(uuid.NAMESPACE_DNS, str(number))) for number in range(1234))
    Texts.objects.bulk_create(Texts(text="多" * (number * 100 % 20_000)) for number in range(200))
    comes_back()


def test_without_compression(comes_back, settings, backup_dir):
    settings.BACKUP_COMPRESSION = False
    Texts.objects.create(text="plain text in a plain tar")
    comes_back()
    archive = min(backup_dir.glob("*.tar"))  # not the safety backup
    assert b"plain text in a plain tar" in archive.read_bytes()

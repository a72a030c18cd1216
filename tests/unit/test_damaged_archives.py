"""No damage goes unnoticed (reliability 5): flipped bytes and bits are detected, the chunk that they hit is named."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import NamedTuple

import orjson
import pytest

from backup_center.engine import chunks, sidecar, verify
from backup_center.engine.chunks import Chunks
from backup_center.engine.encryption import Identities
from backup_center.engine.errors import Damaged, Locked
from backup_center.engine.sources import Source
from tests import archives
from tests.archives import IDENTITY, KEY, Archive
from tests.projects import once

pytestmark = once

FLIPS = 10_000


@pytest.fixture(scope="module", params=["open", "sealed"])
def small(request, tmp_path_factory) -> Archive:
    archive = archives.make(tmp_path_factory.mktemp("small"), rows=5, sealed=request.param == "sealed")
    assert archive.path.stat().st_size < 15_000
    return archive


@pytest.fixture(scope="module")
def small_sealed(tmp_path_factory) -> Archive:
    return archives.make(tmp_path_factory.mktemp("small-sealed"), rows=5, sealed=True)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Archive:
    archive = archives.make(tmp_path_factory.mktemp("large"), rows=8_000, width=240)
    assert 1_800_000 < archive.path.stat().st_size < 2_400_000
    assert len(archive.chunks()) > 20
    return archive


@pytest.fixture
def flipped():
    """Flip bits of one byte of a file; it is mended when the test ends or the next byte is flipped."""
    mend = []

    def flip(archive: Archive, position: int, mask: int = 0xFF) -> None:
        while mend:
            mend.pop()()
        with archive.path.open("r+b") as file:
            file.seek(position)
            original = file.read(1)
            file.seek(position)
            file.write(bytes([original[0] ^ mask]))
        mend.append(lambda: _write(archive, position, original))

    yield flip
    for undo in mend:
        undo()


def _write(archive: Archive, position: int, data: bytes) -> None:
    with archive.path.open("r+b") as file:
        file.seek(position)
        file.write(data)


def named(findings: list[verify.Finding]) -> list[tuple[str, int | None]]:
    return [(finding.label, finding.chunk) for finding in findings if finding.chunk is not None]


def test_every_byte_of_an_archive(small, flipped):
    """Of a sealed one, which is checked in the same way, every fifth."""
    for position in range(0, small.sidecar.size, 5 if small.sidecar.manifest.keys else 1):
        flipped(small, position)
        found = small.examine()
        assert found, position
        assert named(found) == small.touching(position, position + 1), position


def test_every_byte_of_a_sidecar(small):
    data = bytearray(small.sidecar_path.read_bytes())
    for position in range(len(data)):
        data[position] ^= 0xFF
        with pytest.raises(Damaged):
            sidecar.open_sidecar(bytes(data), [KEY], "sidecar")
        data[position] ^= 0xFF

    assert sidecar.open_sidecar(bytes(data), [KEY], "sidecar", small.unlock) == small.sidecar


def test_every_byte_of_a_key_file(small_sealed):
    """It is not signed, as other recipients may be given it; but nothing else opens with what was changed."""
    data = bytearray(small_sealed.key_path.read_bytes())
    [public] = small_sealed.sidecar.manifest.keys.values()
    opener = Identities(secrets=(IDENTITY,))
    for position in range(len(data)):
        data[position] ^= 0xFF
        with pytest.raises((Damaged, Locked), match="key file"):
            opener.unwrap(bytes(data), public, "key file")
        data[position] ^= 0xFF
        with pytest.raises((Damaged, Locked), match="key file"):
            opener.unwrap(bytes(data[:position]), public, "key file")
    assert opener.unwrap(bytes(data), public, "key file").public == public


def test_every_bit_of_a_sidecars_beginning_and_end(small):
    data = bytearray(small.sidecar_path.read_bytes())
    for position in [*range(200), *range(len(data) - 200, len(data))]:
        for bit in range(8):
            data[position] ^= 1 << bit
            with pytest.raises(Damaged):
                sidecar.open_sidecar(bytes(data), [KEY], "sidecar")
            data[position] ^= 1 << bit


class InMemory(NamedTuple):
    """A vault that holds one file, whatever it is called."""

    data: bytearray

    def copies(self, name: str) -> tuple[InMemory]:
        return (self,)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])


@pytest.mark.slow
def test_ten_thousand_random_bits(large):
    """A restore reads chunks as this does; what lies between the chunks it never reads, and ``verify`` watches over."""
    data = bytearray(large.path.read_bytes())
    by_name = {(table.label, n): c for table in large.sidecar.manifest.tables for n, c in enumerate(table.chunks)}
    rng = random.Random(5)
    source = Source(InMemory(data), {large.sidecar.manifest.id: ""}, large.source.packing)
    hits = 0
    for _ in range(FLIPS):
        position, mask = rng.randrange(len(data)), 1 << rng.randrange(8)
        data[position] ^= mask
        for label, index in large.touching(position, position + 1):
            name = chunks.entry_name(label, index)
            with pytest.raises(Damaged, match=name):
                source.body(by_name[label, index], name)
            hits += 1
        data[position] ^= mask
    assert hits > 0.9 * FLIPS


@pytest.mark.slow
def test_random_bits_are_found_in_the_file_and_never_restored(large, flipped):
    rng = random.Random(6)
    large.spoil()
    for number in range(60):
        position = rng.randrange(large.sidecar.size)
        flipped(large, position, 1 << rng.randrange(8))
        found = large.examine()
        assert "SHA-256" in found[0].message
        assert named(found) == large.touching(position, position + 1), position
        if number % 6 == 0:
            assert archives.refused(large, Damaged).findings == tuple(finding.message for finding in found)


def test_damage_after_the_check_is_noticed_while_the_rows_are_loaded(large, flipped, monkeypatch):
    """The file is read twice: as a whole, then chunk by chunk. What happens in between must not reach the tables."""
    label, index, start, end = large.chunks()[-1]
    check = verify.require_whole
    large.spoil()

    def damaged_meanwhile(*arguments):
        check(*arguments)
        flipped(large, (start + end) // 2)

    monkeypatch.setattr(verify, "require_whole", damaged_meanwhile)

    assert chunks.entry_name(label, index) in str(archives.refused(large, Damaged))


def test_deep_verification_finds_rows_that_are_not_those_of_their_range(small):
    """Digests that fit and rows that don't: nobody but a broken writer makes this, and ``deep`` finds it."""
    table = small.sidecar.manifest.tables[0]
    wrong = replace(table.chunks[0], rows=table.chunks[0].rows + 1)
    tables = (replace(table, chunks=Chunks([orjson.dumps(wrong)])), *small.sidecar.manifest.tables[1:])
    forged = replace(small, sidecar=replace(small.sidecar, manifest=replace(small.sidecar.manifest, tables=tables)))

    assert small.examine(deep=True) == []
    assert named(forged.examine(deep=True)) == [(table.label, 0)]

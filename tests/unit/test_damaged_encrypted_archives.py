"""No damage to an encrypted backup goes unnoticed either (reliability 5, 6): with the key, and without it."""

from __future__ import annotations

import pytest

from backup_center.engine import covers, manifest, verify
from backup_center.engine.encryption import ArchiveKey, Recipients, identities
from backup_center.engine.errors import Damaged, Incomplete, WrongKey
from backup_center.engine.keyring import Keyring, key_file, read_key_file
from tests import archives
from tests.archives import KEY, Archive

STEP = 37  # every byte would tell the same, and take a minute
OPERATOR = ArchiveKey.generate()
OWN = identities(OPERATOR.secret.encode(), "", "the operator's file")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Archive:
    return archives.make(
        tmp_path_factory.mktemp("sealed"), rows=5, codec="gzip+age", recipients=Recipients((OPERATOR.recipient,))
    )


def keyring(archive: Archive) -> Keyring:
    return Keyring(archive.vault, lambda: OWN)


def test_a_sound_one_is_whole_with_the_key_and_without_it(sealed):
    cover = covers.read(sealed.sidecar_path.read_bytes(), [KEY], "sidecar")

    assert verify.examine(sealed.vault, sealed.sidecar, sealed.ids, keyring(sealed), deep=True) == []
    assert verify.examine_sealed(sealed.vault, cover, sealed.ids) == []
    assert cover.chunks == covers.of(sealed.sidecar).chunks


def test_bytes_of_an_archive(sealed):
    cover = covers.read(sealed.sidecar_path.read_bytes(), [KEY], "sidecar")
    ring = keyring(sealed)
    data = sealed.path.read_bytes()
    try:
        for position in range(0, len(data), STEP):
            damaged = bytearray(data)
            damaged[position] ^= 0xFF
            sealed.path.write_bytes(damaged)
            with_key = verify.examine(sealed.vault, sealed.sidecar, sealed.ids, ring)
            without = verify.examine_sealed(sealed.vault, cover, sealed.ids)
            hit = sealed.touching(position, position + 1)
            assert "SHA-256" in with_key[0].message
            assert [(found.label, found.chunk) for found in with_key[1:]] == hit
            assert "SHA-256" in without[0].message
            assert len(without[1:]) == len(hit)
    finally:
        sealed.path.write_bytes(data)


def test_an_archive_that_ends_early(sealed):
    data = sealed.path.read_bytes()
    try:
        for size in range(0, len(data), 97):
            sealed.path.write_bytes(data[:size])
            found = verify.examine(sealed.vault, sealed.sidecar, sealed.ids, keyring(sealed))
            assert "incomplete" in found[0].message
    finally:
        sealed.path.write_bytes(data)


def test_every_byte_and_every_length_of_a_key_file(sealed):
    data = read_key_file(sealed.vault, key_file(sealed.path.name))
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        for wrong in (bytes(damaged), data[:position]):
            with pytest.raises((Damaged, WrongKey)):
                ArchiveKey.unlocked(wrong, OWN, "the key file")


def test_bytes_and_lengths_of_a_sidecar(sealed):
    data = sealed.sidecar_path.read_bytes()
    unseal = covers.unsealing("sidecar", keyring(sealed).key)
    for position in range(0, len(data), STEP):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        with pytest.raises(Damaged):
            covers.read(bytes(damaged), [KEY], "sidecar")
        with pytest.raises(Damaged):
            manifest.open_sidecar(bytes(damaged), [KEY], "sidecar", unseal)
        with pytest.raises(Incomplete):
            covers.read(data[:position], [KEY], "sidecar")

    assert manifest.open_sidecar(data, [KEY], "sidecar", unseal) == sealed.sidecar


def test_a_signed_sidecar_whose_cover_makes_no_sense_is_damaged(sealed):
    line = sealed.sidecar_path.read_bytes().partition(b"\n")[0]
    for wrong in (line.replace(b'"needs":["', b'"needs":[],"":["'), line.replace(b'"chunks":[[0', b'"chunks":[[9')):
        assert wrong != line
        with pytest.raises(Damaged):
            covers.read(b"".join(manifest.signed([wrong], KEY)), [KEY], "sidecar")

"""The guide's settings: their defaults, and that they are read when they are needed."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from backup_center.conf import get_settings

GUIDE = ("BACKUP_DIR", "BACKUP_COMPRESSION", "BACKUP_ENCRYPTION", "BACKUP_RETENTION_DAYS")


def test_defaults_are_those_of_the_guide(settings, tmp_path):
    for name in (
        *GUIDE,
        "BACKUP_KEEP",
        "BACKUP_SAFETY_RETENTION_DAYS",
        "BACKUP_DATA_TYPES",
        "BACKUP_EXCLUDE",
        "BACKUP_MASKED_FIELDS",
    ):
        if hasattr(settings, name):
            delattr(settings, name)
    settings.BASE_DIR = tmp_path

    found = get_settings()

    assert found.directory == tmp_path / "backups"
    assert found.compression is True
    assert found.encryption is False
    assert found.retention_days == 30
    assert (found.safety_retention_days, found.keep) == (7, None)
    assert found.data_types is None
    assert found.exclude == ()
    assert found.masked_fields == ()


def test_without_a_base_dir_backups_go_below_the_working_folder(settings, tmp_path, monkeypatch):
    del settings.BACKUP_DIR
    settings.BASE_DIR = None
    monkeypatch.chdir(tmp_path)

    assert get_settings().directory == tmp_path / "backups"


def test_settings_are_read_each_time_they_are_needed():
    with override_settings(BACKUP_DIR="/srv/one", BACKUP_RETENTION_DAYS=7):
        assert get_settings().directory == Path("/srv/one")
        assert get_settings().retention_days == 7
    with override_settings(BACKUP_DIR="/srv/two"):
        assert get_settings().directory == Path("/srv/two")


def test_compression_chooses_the_codec(settings):
    settings.BACKUP_COMPRESSION = False
    assert get_settings().codec == "none"
    settings.BACKUP_COMPRESSION = True
    assert get_settings().codec == "gzip"


@pytest.mark.parametrize("name", ["BACKUP_EXCLUDE", "BACKUP_MASKED_FIELDS"])
@pytest.mark.parametrize("value", ["zoo.Animal", [1], None])
def test_a_list_of_names_that_could_be_misread_is_refused(settings, name, value):
    setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=name):
        get_settings()


def test_signing_keys_follow_the_secret_key_and_never_show_it(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    rotated = get_settings()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "old", []

    assert rotated.signing_keys[1:] == get_settings().signing_keys
    assert rotated.signing_keys[0] not in get_settings().signing_keys
    assert repr(rotated.signing_keys[0]) not in repr(rotated)
    assert b"new" not in b"".join(rotated.signing_keys)


def test_own_signing_keys_sign_and_secret_keys_still_verify(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    by_secret_keys = get_settings().signing_keys
    settings.BACKUP_SIGNING_KEYS = ["first " * 8, "second " * 8]

    assert get_settings().signing_keys[2:] == by_secret_keys
    assert "first" not in repr(get_settings())


@pytest.mark.parametrize("wrong", ["one long text", {"a set"}, [""], [b"bytes"]])
def test_signing_keys_that_could_be_misread_are_refused_without_being_shown(settings, wrong):
    settings.BACKUP_SIGNING_KEYS = wrong

    with pytest.raises(ImproperlyConfigured, match="must be a list of secrets") as caught:
        get_settings()
    assert "one long" not in str(caught.value)

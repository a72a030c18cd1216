"""Every command explains itself, in both languages."""

import re

import pytest
from django.core.management import load_command_class
from django.utils import translation

COMMANDS = [
    "backup_database", "cleanup_backups", "list_backups", "pin_backup", "record_history", "restore_database",
    "restore_record", "verify_backups", "verify_audit_log", "backup_groups", "check_backups",
]  # fmt: skip


def help_of(command: str, language: str) -> str:
    with translation.override(language):
        return load_command_class("backup_center", command).create_parser("manage.py", command).format_help()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_there_in_both_languages(command):
    english, chinese = help_of(command, "en"), help_of(command, "zh-hans")

    assert "--json" in english
    assert "--json" in chinese
    assert not re.search("[一-龥]", english)
    assert re.search("[一-龥]", chinese)

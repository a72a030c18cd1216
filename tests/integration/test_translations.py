"""Chinese pages are Chinese: our translations show, also where another app translates the same words."""

from __future__ import annotations

from pathlib import Path

from babel.messages.pofile import read_po
from django.utils import translation

import backup_center

PO = Path(backup_center.__file__).parent / "locale/zh_Hans/LC_MESSAGES/django.po"


def test_no_other_catalogue_speaks_for_us():
    with PO.open("rb") as stream:
        catalogue = [message for message in read_po(stream) if message.id]
    wrong = {}
    with translation.override("zh-hans"):
        for message in catalogue:
            if message.pluralizable:
                shown, expected = translation.ngettext(*message.id, 2), message.string[0]
            elif message.context:
                shown, expected = translation.pgettext(message.context, message.id), message.string
            else:
                shown, expected = translation.gettext(message.id), message.string
            if shown != expected:
                wrong[message.id] = shown
    assert not wrong
    assert len(catalogue) > 300

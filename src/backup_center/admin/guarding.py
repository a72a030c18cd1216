"""Who it is, and what was refused, as on our own pages."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from ..models import BackupLog, BackupRecord
from ..services import identity, journal, origin
from .parts import page

LOGGED_PATH = 500  # characters of a URL that the log keeps


def ask_who(admin_: admin.ModelAdmin[Any], request: HttpRequest) -> HttpResponse | None:
    """The way to the password, as our own pages go it; ``None`` once it is known who this is."""
    if (answer := identity.asks_the_host(request)) or identity.is_confirmed(request):
        return answer
    if url := page("confirm_identity"):
        admin_.message_user(request, _("Nothing was changed yet: enter your password first."), messages.WARNING)
        return HttpResponseRedirect(f"{url}?{urlencode({'next': request.get_full_path()})}")
    text = _("Nothing was changed: the page that asks for your password is missing. Include backup_center.urls.")
    admin_.message_user(request, text, messages.ERROR)
    return HttpResponseRedirect(reverse("admin:index", current_app=admin_.admin_site.name))


def note_refusal(request: HttpRequest, verb: str) -> None:
    """As our own pages do; Django's 403 follows."""
    codename = f"{BackupRecord._meta.app_label}.{get_permission_codename(verb, BackupRecord._meta)}"
    message = _("Your account may not do this: it lacks the permission %(permission)s.") % {"permission": codename}
    facts: dict[str, Any] = {"path": request.path[:LOGGED_PATH], "method": request.method}
    try:
        with origin.acting_for(request):
            journal.write(
                BackupLog.Operation.ACCESS, BackupLog.Level.WARNING, message,
                user=cast(AbstractBaseUser, request.user), refused=True, **facts,
            )  # fmt: skip
    except DatabaseError as error:
        journal.logger.error("%s %s: %s (%s)", request.user.get_username(), facts["path"], message, error)

"""Is it still the same person? The password again before what can't be taken back, or what the host asks instead."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth import authenticate, get_user_model
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..conf import get_access_settings, host_function
from ..engine.errors import Refused
from ..models import BackupLog
from . import journal

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

KEY = "backup_identity"  # in the session
ATTEMPTS = 5
ATTEMPTS_WITHIN = timedelta(minutes=5)


def asks_the_host(request: HttpRequest) -> HttpResponse | None:
    """What the host's own check answers; ``None`` if it is content, or if there is none."""
    path = get_access_settings().reauthentication
    answer: HttpResponse | None = host_function("BACKUP_REAUTHENTICATION", path)(request) if path else None
    return answer


def is_confirmed(request: HttpRequest) -> bool:
    """Whether no password is needed now. With a check of the host's, ours is never asked."""
    settings = get_access_settings()
    if settings.reauthentication or not settings.reauthenticate_seconds:
        return True
    mark = request.session.get(KEY) or {}
    age = time.time() - mark.get("at", 0)
    return 0 <= age < settings.reauthenticate_seconds and constant_time_compare(mark.get("who", ""), _who(request.user))


def mark_for(user: Any) -> dict[str, Any]:
    """What the session remembers: when, and of whom."""
    return {"at": time.time(), "who": _who(user)}


@sensitive_variables("password")
def confirm(request: HttpRequest, user: AbstractBaseUser, password: str) -> None:
    """Raises ``Refused`` for a wrong password. Asked of the project's own backends, so that its lockouts notice."""
    if _failures(user) >= ATTEMPTS:
        _refuse(user, _("Too many wrong passwords: wait a few minutes."))
    credentials = {get_user_model().USERNAME_FIELD: user.get_username()}
    found = authenticate(request, **credentials, password=password)
    if found is None or found.pk != user.pk:
        _refuse(user, _("The password is wrong."), attempt=True)
    request.session.cycle_key()  # whoever knew the session's key before gains nothing by it
    request.session[KEY] = mark_for(user)
    journal.write(BackupLog.Operation.ACCESS, BackupLog.Level.SUCCESS, _("The password was confirmed."), user=user)


def _who(user: Any) -> str:
    """Another account, a new login, a new password: another value."""
    facts = (user.pk, user.get_session_auth_hash(), getattr(user, "last_login", None))
    return salted_hmac("backup_center identity", repr(facts), algorithm="sha256").hexdigest()


def _failures(user: AbstractBaseUser) -> int:
    since = timezone.now() - ATTEMPTS_WITHIN
    lately = BackupLog.objects.filter(operation=BackupLog.Operation.ACCESS, created_at__gte=since, refused=True)
    return lately.filter(operated_by_key=str(user.pk), details__attempt=True).count()


def _refuse(user: AbstractBaseUser, message: str, **details: Any) -> None:
    journal.write(BackupLog.Operation.ACCESS, BackupLog.Level.WARNING, message, user=user, refused=True, **details)
    raise Refused(message)

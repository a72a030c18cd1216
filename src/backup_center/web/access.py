"""Who may see and do what, and what a page looks like when a service says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlencode

from django.apps import apps
from django.conf import settings as project
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.generic import View

from ..conf import base_template, get_access_settings
from ..engine.errors import BackupCenterError, NotFound, lines_of
from ..models import BackupLog, BackupRecord
from ..services import identity, journal, origin
from .forms import data_type_choices

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

ACTIONS = ("view", "add", "change", "delete", "verify", "download", "restore", "browse", "import", "export",
           "view_schedule", "add_schedule", "change_schedule", "delete_schedule", "change_alarmsettings")  # fmt: skip

LOGGED_PATH = 500  # characters of a URL that the log keeps


def permission(action: str) -> str:
    """The full codename; a host may have given our app another label. ``change_schedule`` names its model itself."""
    model = {"export": "_backuplog"}.get(action, "" if "_" in action else "_backuprecord")
    return f"{BackupRecord._meta.app_label}.{action}{model}"


@method_decorator([never_cache, csrf_protect, transaction.non_atomic_requests], name="dispatch")
class StaffView(View):
    """For staff with a permission. Strangers go to the admin's login; who may not gets a 403.

    Never inside a transaction: services refuse that. Their errors become a page that says what to do.

    ``confirms_identity``: it takes the password again, too, however it is asked for. Whoever is sent away for that
    comes back to ``way_back``.
    """

    action: ClassVar[str] = "view"
    confirms_identity: ClassVar[bool] = False
    keeps: ClassVar[tuple[str, ...]] = ()  # what a form sent that is not lost on the way, since it stands in the URL

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        try:
            with origin.acting_for(request):
                if not self.is_allowed(self.action):
                    return self.refuse(self.action)
                if self.confirms_identity and (answer := self.identify()):
                    return answer
                return super().dispatch(request, *args, **kwargs)
        except BackupCenterError as error:
            return self.explain(error)
        except ImproperlyConfigured as error:
            return self.explain(error)

    def identify(self) -> HttpResponse | None:
        """The way to the password, or what the host asks instead; ``None`` once it is known who this is."""
        if answer := identity.asks_the_host(self.request):
            return _whole(self.request, answer)
        if self.is_confirmed():
            return None
        query = urlencode({"next": self.way_back()})
        return _whole(self.request, redirect(f"{reverse('backup:confirm_identity')}?{query}"))

    def is_confirmed(self) -> bool:
        return identity.is_confirmed(self.request)

    def way_back(self) -> str:
        """A page to look at, where whatever was wanted can be asked for again."""
        if self.request.method != "POST":
            return self.request.get_full_path()
        kept = [(name, value) for name in self.keeps for value in self.request.POST.getlist(name)]
        return f"{self.request.path}?{urlencode(kept)}" if kept else self.request.path

    def is_allowed(self, action: str) -> bool:
        user = self.request.user
        if action == "restore" and not get_access_settings().web_restore:
            return False
        return bool(user.is_active and getattr(user, "is_staff", False) and user.has_perm(permission(action)))

    @property
    def actor(self) -> AbstractBaseUser:
        """Who is logged in: nobody else gets here."""
        return cast("AbstractBaseUser", self.request.user)

    def refuse(self, action: str) -> HttpResponse:
        if action == "restore" and not get_access_settings().web_restore:
            message = _("Restores from these pages are turned off (BACKUP_WEB_RESTORE). %(command)s restores.")
            message %= {"command": "python manage.py restore_database"}
        else:
            message = _("Your account may not do this: it lacks the permission %(permission)s.")
            message %= {"permission": permission(action)}
        self._note_refusal(message)
        return self.explain(message, status=403)

    def _note_refusal(self, message: str) -> None:
        """Refused it is in any case, also while the database takes no entry (SQLite's, when a restore writes)."""
        path = self.request.path[:LOGGED_PATH]
        try:
            journal.write(
                BackupLog.Operation.ACCESS,
                BackupLog.Level.WARNING,
                message,
                user=self.actor,
                refused=True,
                path=path,
                method=self.request.method,
            )
        except DatabaseError as error:
            journal.logger.error("%s %s: %s (%s)", self.actor.get_username(), path, message, error)

    def explain(self, error: Exception | str, status: int | None = None) -> HttpResponse:
        """A page of its own for what could not be done."""
        if status is None:
            status = 404 if isinstance(error, NotFound) else 409
        return self.page("backup/error.html", status=status, error=str(error), lines=lines_of(error))

    def page(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        frame = {
            # By ourselves: not every host has the context processors that bring them.
            "request": self.request,
            "messages": messages.get_messages(self.request),
            "base_template": base_template(),
            "live": apps.is_installed("django_htmx"),
            "labels": SimpleLazyObject(lambda: dict(data_type_choices())),
            "web_restore": get_access_settings().web_restore,
            "may": {action: self.is_allowed(action) for action in ACTIONS},
        }
        return render(self.request, template, {**frame, **context}, status=status)

    def tell(self, level: int, text: str) -> None:
        """Shown on the next page; on none in a host without ``django.contrib.messages``."""
        messages.add_message(self.request, level, text, fail_silently=True)

    def record(self) -> BackupRecord:
        """The backup that the URL names. Raises ``Http404``."""
        return get_object_or_404(BackupRecord.objects.select_related("parent", "created_by"), pk=self.kwargs["pk"])


def is_live(request: HttpRequest) -> bool:
    """Whether htmx asks, which swaps a part of the page."""
    return request.headers.get("HX-Request") == "true"


def _to_login(request: HttpRequest) -> HttpResponse:
    try:
        login = resolve_url("admin:login")
    except NoReverseMatch:  # a host without the admin
        login = resolve_url(project.LOGIN_URL)
    return _whole(request, redirect_to_login(request.get_full_path(), login))


def _whole(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """To htmx a part of the login page would make no sense: load it whole."""
    if is_live(request) and "Location" in answer.headers:
        return HttpResponse(headers={"HX-Redirect": answer["Location"]})
    return answer

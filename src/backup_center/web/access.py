"""Who may see and do what, and what a page looks like when a service says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.apps import apps
from django.conf import settings as project
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render, resolve_url
from django.urls import NoReverseMatch
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.generic import View

from ..conf import base_template
from ..engine.errors import BackupCenterError, NotFound
from ..models import BackupRecord
from .forms import data_type_choices

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

ACTIONS = ("view", "add", "change", "delete", "verify", "download", "restore", "browse", "import")


def permission(action: str) -> str:
    """The full codename; a host may have given our app another label."""
    return f"{BackupRecord._meta.app_label}.{action}_backuprecord"


@method_decorator([never_cache, csrf_protect, transaction.non_atomic_requests], name="dispatch")
class StaffView(View):
    """For staff with a permission. Strangers go to the admin's login; who may not gets a 403.

    Never inside a transaction: services refuse that. Their errors become a page that says what to do.
    """

    action: ClassVar[str] = "view"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        if not self.is_allowed(self.action):
            return self.refuse(self.action)
        try:
            return super().dispatch(request, *args, **kwargs)
        except BackupCenterError as error:
            return self.explain(error)
        except ImproperlyConfigured as error:
            return self.explain(error)

    def is_allowed(self, action: str) -> bool:
        user = self.request.user
        return bool(user.is_active and getattr(user, "is_staff", False) and user.has_perm(permission(action)))

    @property
    def actor(self) -> AbstractBaseUser:
        """Who is logged in: nobody else gets here."""
        return cast("AbstractBaseUser", self.request.user)

    def refuse(self, action: str) -> HttpResponse:
        message = _("Your account may not do this: it lacks the permission %(permission)s.")
        return self.explain(message % {"permission": permission(action)}, status=403)

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
            "may": {action: self.is_allowed(action) for action in ACTIONS},
        }
        return render(self.request, template, {**frame, **context}, status=status)

    def tell(self, level: int, text: str) -> None:
        """Shown on the next page; on none in a host without ``django.contrib.messages``."""
        messages.add_message(self.request, level, text, fail_silently=True)

    def record(self) -> BackupRecord:
        """The backup that the URL names. Raises ``Http404``."""
        return get_object_or_404(BackupRecord.objects.select_related("parent", "created_by"), pk=self.kwargs["pk"])


def lines_of(error: Exception | str) -> list[str]:
    """What an error lists: damaged parts, differences, references."""
    return [str(line) for name in ("findings", "differences", "problems") for line in getattr(error, name, ())]


def is_live(request: HttpRequest) -> bool:
    """Whether htmx asks, which swaps a part of the page."""
    return request.headers.get("HX-Request") == "true"


def _to_login(request: HttpRequest) -> HttpResponse:
    try:
        login = resolve_url("admin:login")
    except NoReverseMatch:  # a host without the admin
        login = resolve_url(project.LOGIN_URL)
    answer = redirect_to_login(request.get_full_path(), login)
    if is_live(request):  # a part of the login page would make no sense: load it whole
        return HttpResponse(headers={"HX-Redirect": answer.url})
    return answer

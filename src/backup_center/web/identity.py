"""The password again, on the way to what can't be taken back."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from .. import quantities
from ..conf import get_access_settings
from ..engine.errors import Refused
from ..services import identity
from .access import ACTIONS, StaffView

ANY = "any"


@method_decorator(sensitive_post_parameters("password"), name="dispatch")
class ConfirmIdentityView(StaffView):
    """For whoever may do anything here. ``?next=`` is where he was going: a page of this site, or the list."""

    action: ClassVar = ANY

    def is_allowed(self, action: str) -> bool:
        return any(map(super().is_allowed, ACTIONS)) if action == ANY else super().is_allowed(action)

    def get(self, request: HttpRequest) -> HttpResponse:
        if answer := identity.asks_the_host(request):
            return answer
        return HttpResponseRedirect(self._next()) if identity.is_confirmed(request) else self._ask()

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            identity.confirm(request, self.actor, request.POST.get("password", ""))
        except Refused as error:
            return self._ask(str(error), status=403)
        time = quantities.duration(get_access_settings().reauthenticate_seconds)
        self.tell(messages.SUCCESS, _("It is you, for %(time)s. Go on where you were.") % {"time": time})
        return HttpResponseRedirect(self._next())

    def _ask(self, error: str = "", status: int = 200) -> HttpResponse:
        return self.page(
            "backup/confirm_identity.html",
            status=status,
            error=error,
            name=self.actor.get_username(),
            next=self._next(),
            without_password=not self.actor.has_usable_password(),
        )

    def _next(self) -> str:
        wanted = self.request.POST.get("next") or self.request.GET.get("next") or ""
        allowed = url_has_allowed_host_and_scheme(
            wanted, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )
        return wanted if allowed else reverse("backup:list")

"""Maintenance while a restore writes: visitors get a friendly page instead of what is about to be replaced.

``MIDDLEWARE = ["backup_center.middleware.MaintenanceMiddleware", …]``, before those that write (sessions among them).
``BACKUP_MAINTENANCE``: ``"writes"`` (the default) turns away what may change something, ``"all"`` every request. Our
pages, the way to log in, and what ``BACKUP_MAINTENANCE_EXEMPT`` lists (beginnings of paths) stay open.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, Resolver404, resolve
from django.utils import translation
from django.utils.cache import add_never_cache_headers

from .conf import MaintenanceSettings, get_maintenance_settings
from .services.running import restoring

SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
RETRY_SECONDS = 30
Respond = Callable[[HttpRequest], HttpResponseBase]


class MaintenanceMiddleware:
    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        settings = get_maintenance_settings()
        concerned = settings.all_requests or request.method not in SAFE
        if not concerned or not restoring() or _is_exempt(request, settings):
            return self.get_response(request)
        # LocaleMiddleware comes later: until then the language is that of the thread's last visitor.
        with translation.override(translation.get_language_from_request(request)):
            answer = HttpResponse(render_to_string("backup/maintenance.html"), status=503)
        answer["Retry-After"] = str(RETRY_SECONDS)
        add_never_cache_headers(answer)
        return answer


def _is_exempt(request: HttpRequest, settings: MaintenanceSettings) -> bool:
    if request.path.startswith(settings.open_paths):
        return True
    try:
        found = resolve(request.path_info)
    except Resolver404:
        return False
    ours = "backup" in found.app_names
    return ours or found.view_name in {"admin:login", "admin:logout"} or request.path == _login(settings)


def _login(settings: MaintenanceSettings) -> str:
    try:
        return resolve_url(settings.login)
    except NoReverseMatch:
        return ""

"""Figures for Prometheus, which shows a token, or for a person who may see the pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.generic import View

from .. import registry
from ..conf import get_alarm_settings
from ..engine.errors import BackupCenterError
from ..services import copies, drills, monitoring, overview
from ..services.verdict import BAD, GOOD, LOOK, verdict
from .access import StaffView

INSTALL = "pip install 'django-backup-center[metrics]'"
PREFIX = "backup_center_"
PLAIN = "text/plain; charset=utf-8"


@method_decorator([login_not_required, never_cache, transaction.non_atomic_requests], name="dispatch")
class MetricsView(StaffView):
    """No way to a login page: a program could not take it."""

    http_method_names = ("get", "head", "options")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not _is_token(request.headers.get("Authorization", "")):
            if request.user.is_authenticated:
                return super().dispatch(request, *args, **kwargs)
            text = _("Show the token of BACKUP_METRICS_TOKEN (Authorization: Bearer …), or log in.")
            return _plain(text, 401, {"WWW-Authenticate": "Bearer"})
        try:
            return View.dispatch(self, request, *args, **kwargs)
        except (BackupCenterError, ImproperlyConfigured) as error:
            return _plain(str(error), 503)

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            import prometheus_client
        except ImportError:
            text = _("Figures for Prometheus need a package that isn't installed: %(command)s")
            return _plain(text % {"command": INSTALL}, 501)
        figures = _Figures(prometheus_client)
        _describe(figures)
        return HttpResponse(
            prometheus_client.generate_latest(figures.registry), content_type=prometheus_client.CONTENT_TYPE_LATEST
        )


class _Figures:
    """A registry of this request's own: no figure of a request before, none of another part of the host."""

    def __init__(self, prometheus: Any) -> None:
        self._prometheus, self.registry = prometheus, prometheus.CollectorRegistry()

    def add(self, name: str, meaning: str, value: float | datetime | None) -> None:
        """What isn't known is left out: it is no zero."""
        if value is not None:
            self._gauge(name, meaning).set(_number(value))

    def add_each(self, name: str, meaning: str, labels: tuple[str, ...], values: Mapping[Any, Any]) -> None:
        gauge = self._gauge(name, meaning, labels)
        for key, value in values.items():
            if value is not None:
                gauge.labels(*key).set(_number(value))

    def _gauge(self, name: str, meaning: str, labels: tuple[str, ...] = ()) -> Any:
        return self._prometheus.Gauge(PREFIX + name, meaning, labels, registry=self.registry)


def _describe(figures: _Figures) -> None:
    """The names are an interface: see docs/monitoring.md."""
    _describe_backups(figures)
    found = verdict()
    states = {(state,): found.state == state for state in (GOOD, LOOK, BAD)}
    figures.add("restorable", "Whether one could restore right now.", found.state != BAD)
    figures.add_each("verdict", "The state of the verdict is 1.", ("state",), states)
    jobs = {(status,): number for status, number in monitoring.jobs().items()}
    figures.add_each("jobs", "Jobs that wait or run.", ("status",), jobs)
    alarms = {(kind,): number for kind, number in monitoring.open_alarms().items()}
    figures.add_each("open_alarms", "Open alarms.", ("kind",), alarms)
    missing = {(state.name,): state.missing for state in copies.states()}
    figures.add_each("copies_missing", "Backups without a good copy in a vault.", ("vault",), missing)
    _describe_schedules(figures)
    _describe_drills(figures)


def _describe_backups(figures: _Figures) -> None:
    counted = monitoring.counted()
    numbers = {(row["status"], row["backup_type"]): row["count"] for row in counted}
    figures.add_each("backups", "Backups known.", ("status", "type"), numbers)
    stored = sum(row["size"] for row in counted if row["status"] == "SUCCESS")
    figures.add("stored_bytes", "Bytes of all good archives.", stored)
    last = monitoring.last_good()
    if last is None:
        return
    figures.add("last_backup_timestamp_seconds", "When the last good backup began.", last.backup_start_time)
    figures.add("last_backup_age_seconds", "How long ago that is.", monitoring.age(last))
    figures.add("last_backup_duration_seconds", "How long it took.", overview.seconds_of(last))
    figures.add("last_backup_rows", "Rows in it.", last.row_count)
    figures.add("last_backup_size_bytes", "Bytes of its archive.", last.file_size)
    figures.add("last_backup_verified_timestamp_seconds", "When it was last verified.", last.verified_at)
    types = overview.by_type(last)
    rows = {(name,): types[name]["rows"] for name in registry.data_types() if name in types}
    figures.add_each("last_backup_data_type_rows", "Rows of a data type in it.", ("data_type",), rows)


def _describe_schedules(figures: _Figures) -> None:
    known = {
        (str(found.schedule.pk), found.schedule.action): found
        for found in monitoring.schedules()
    }  # fmt: skip
    labels = ("schedule", "action")
    runs = {key: found.schedule.next_run_at for key, found in known.items() if found.schedule.enabled}
    figures.add_each("schedule_next_run_timestamp_seconds", "When a schedule runs next.", labels, runs)
    last = {key: found.last_run_at for key, found in known.items()}
    figures.add_each("schedule_last_run_timestamp_seconds", "When it last ran.", labels, last)
    failures = {key: found.failures for key, found in known.items()}
    figures.add_each("schedule_failures", "Its runs that failed, of those known.", labels, failures)


def _describe_drills(figures: _Figures) -> None:
    if last := drills.last_ended():
        figures.add("last_drill_timestamp_seconds", "When the last drill began.", last.started_at)
        figures.add("last_drill_ok", "Whether it proved that a backup restores.", bool(last.ok))
    if proven := drills.last_proven():
        figures.add("last_proven_timestamp_seconds", "When a backup was last proven to restore.", proven.started_at)
        figures.add("last_proven_restore_seconds", "How long that restore took.", proven.restore_seconds)


def _number(value: float | datetime) -> float:
    return value.timestamp() if isinstance(value, datetime) else float(value)


def _is_token(shown: str) -> bool:
    """Compared in a time that tells nothing; without a token in the settings none is right."""
    token = get_alarm_settings().metrics_token
    return bool(token) and constant_time_compare(shown, f"Bearer {token}")


def _plain(text: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, content_type=PLAIN, headers=headers)

"""Work in the background, schedules, drills."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.utils.translation import gettext as _

from ..conf import (
    MAINTENANCE_MODES,
    get_drill_settings,
    get_maintenance_settings,
    get_schedule,
    get_task_settings,
    host_function,
)


def tasks() -> Iterator[checks.CheckMessage]:
    from ..tasks.queue import api  # as above

    found, settings = api(), get_task_settings()
    if found is None:
        return
    try:
        queues = found.task_backends[settings.backend].queues
    except ImproperlyConfigured as error:
        text = _("BACKUP_TASK_BACKEND names no usable entry of TASKS: %(error)s")
        yield checks.Error(text % {"error": error}, id="backup_center.E070")
        return
    if queues and settings.queue not in queues:  # none: all are allowed
        yield checks.Error(
            _('BACKUP_TASK_QUEUE is "%(queue)s", which QUEUES of the entry "%(backend)s" of TASKS does not list.')
            % {"queue": settings.queue, "backend": settings.backend},
            hint=_('Add it there: "QUEUES": %(queues)s. Let a worker look into it, too (docs/background.md).')
            % {"queues": json.dumps(sorted({*queues, settings.queue}, key=str))},
            id="backup_center.E070",
        )


def schedule() -> Iterator[checks.CheckMessage]:
    from ..services import timetable  # as above

    try:
        wrong = timetable.problem(get_schedule())
    except ImproperlyConfigured:
        return  # _data_types says so
    if wrong:
        hint = _("Write for example %(example)s.") % {"example": timetable.EXAMPLE}
        yield checks.Error(wrong, hint=hint, id="backup_center.E060")


def maintenance() -> Iterator[checks.CheckMessage]:
    mode = getattr(project, "BACKUP_MAINTENANCE", MAINTENANCE_MODES[0])
    if mode not in MAINTENANCE_MODES:
        text = _("BACKUP_MAINTENANCE must be one of: %(modes)s.")
        yield checks.Error(text % {"modes": ", ".join(MAINTENANCE_MODES)}, id="backup_center.E071")
    try:
        get_maintenance_settings()
    except ImproperlyConfigured as error:
        yield checks.Error(str(error), id="backup_center.E072")


def drills() -> Iterator[checks.CheckMessage]:
    try:
        settings = get_drill_settings()
    except ImproperlyConfigured as error:
        hint = _("Until then every drill is refused.")
        yield checks.Error(str(error), hint=hint, id="backup_center.E040")
        return
    for path in settings.probes:
        try:
            host_function("BACKUP_DRILL_PROBES", path)
        except ImproperlyConfigured as error:
            hint = _('Write the dotted path of a function without arguments: "finance.probes.rents_add_up".')
            yield checks.Error(str(error), hint=hint, id="backup_center.E041")
    if settings.database is None:
        return
    from ..services import scratch_prepared  # only here: most commands need no engine

    if wrong := scratch_prepared.problem(settings.database):
        hint = _("Name an empty database that nothing else uses, best on another server.")
        yield checks.Error(wrong, hint=hint, id="backup_center.E042")


@checks.register("backup_center", deploy=True)
def check_workers(**_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy``: who does the work."""
    from ..tasks.queue import is_immediate  # only here: most commands need no engine

    try:
        immediate = is_immediate()
    except ImproperlyConfigured:
        return []  # check_settings says so
    if not immediate:
        return []
    return [
        checks.Warning(
            _("There is no worker: backups and restores asked for on a page run inside its request."),
            hint=_("Point TASKS to a backend with workers (docs/background.md); a server's time limit ends requests."),
            id="backup_center.W070",
        )
    ]


@checks.register(checks.Tags.database, deploy=True)
def check_schedules(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy --database``: whether somebody looks at the schedules."""
    from ..services import timetable  # only here: most commands need no engine
    from ..services.connecting import home_alias

    if home_alias() not in (databases or []):
        return []
    try:
        waiting = timetable.overdue()
    except DatabaseError:
        return []  # not migrated yet
    return [
        checks.Warning(
            _("%(schedule)s is overdue: nobody looks at the schedules.") % {"schedule": schedule},
            hint=_("Let run_due_schedules or backup_scheduler run (docs/scheduling.md)."),
            id="backup_center.W060",
        )
        for schedule in waiting
    ]

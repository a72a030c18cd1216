from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import BackupCenterError
from ...models import Job
from ...tasks.ticking import tick
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Do what the schedules say is due now. Let cron call it every minute.")  # type: ignore[assignment]

    def run(self, **options: Any) -> None:
        done = tick()
        kinds = {_("its worker had died"): done.settled, _("due"): done.due, _("queued again"): done.requeued}
        for kind, found in kinds.items():
            for job in found:
                self.say(f"{kind}: {job}  {job.get_status_display()}  {job.error}".rstrip())
        if not any(kinds.values()):
            self.say(_("Nothing is due."))
        self.answer({"settled": _told(done.settled), "due": _told(done.due), "requeued": _told(done.requeued)})
        if failed := [job for job in (*done.due, *done.requeued) if job.status == Job.Status.FAILED]:
            raise BackupCenterError("\n".join(f"{job}: {job.error}" for job in failed))


def _told(found: list[Job]) -> list[dict[str, Any]]:
    return [
        {
            "job": job.pk,
            "action": job.action,
            "schedule": job.schedule_id,
            "slot": job.slot,
            "status": job.status,
            "backup": job.backup_name,
            "error": job.error,
        }
        for job in found
    ]

"""What is queued: the number of a job."""

from __future__ import annotations

from ..conf import get_task_settings
from ..services import working
from .queue import api, is_immediate


@api().task(backend=get_task_settings().backend, queue_name=get_task_settings().queue)  # type: ignore[untyped-decorator]
def run_job(job_id: int) -> None:
    working.run(job_id, patient=not is_immediate())

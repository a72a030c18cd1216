"""This installation's identity and lease."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Installation(models.Model):
    """One row: who we are, how many backups we ever began, and who may write now (the lease).

    ``fencing`` grows with every holder. A restore writes its number into ``committed`` in its own transaction: that is
    both the check that it still holds the lease, and the proof that it was committed.
    """

    SINGLETON: ClassVar[int] = 1

    project_id = models.UUIDField(default=uuid.uuid4, editable=False)
    last_sequence = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=200, blank=True)
    operation = models.CharField(max_length=20, blank=True)
    details = models.JSONField(default=dict, blank=True)
    fencing = models.BigIntegerField(default=0)
    committed = models.BigIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict, blank=True)
    # So that schedules which somebody deleted don't come back.
    schedules_filled = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("installation")
        verbose_name_plural = _("installations")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.project_id)

"""Sent around each operation, as ``(sender, record, user, **facts)``.

A receiver of a ``pre_`` signal that raises stops the operation before anything is touched. ``post_`` signals are sent
when the outcome is settled; what their receivers raise is logged and changes nothing.
"""

from __future__ import annotations

from django.dispatch import Signal

pre_backup = Signal()
post_backup = Signal()  # also: error, None or the exception
pre_restore = Signal()
post_restore = Signal()  # also: statistics (rows per data type), error
pre_verify = Signal()
post_verify = Signal()  # also: findings, a list of messages
pre_delete = Signal()
post_delete = Signal()  # the record has no primary key any more
pre_drill = Signal()  # also: drill, which has just begun
post_drill = Signal()  # also: drill, as it ended; error, None or the exception

job_ended = Signal()  # (sender, job): it is SUCCESS, FAILED or CANCELLED

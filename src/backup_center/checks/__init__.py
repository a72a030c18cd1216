"""System checks: what is wrong with the project's settings, and how to mend it. Numbers are never reused."""

from .alarms import check_alarms, check_channels
from .deployment import check_coverage, check_live_pages
from .places import check_distance
from .values import check_settings
from .work import check_schedules, check_workers

__all__ = [
    "check_alarms", "check_channels", "check_coverage", "check_distance", "check_live_pages", "check_schedules",
    "check_settings", "check_workers",
]  # fmt: skip

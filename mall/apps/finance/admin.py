from django.contrib import admin
from django.http import HttpRequest

from apps.finance.models import FinanceRecord
from apps.record_admin import RecordAdmin


@admin.register(FinanceRecord)
class FinanceRecordAdmin(RecordAdmin):
    list_display = (
        "created_at",
        "shop",
        "record_type",
        "amount",
        "billing_start",
        "billing_end",
        "status",
        "payment_method",
        "paid_at",
    )
    list_filter = ("record_type", "status", "payment_method")
    list_select_related = ("shop",)
    search_fields = ("transaction_id", "shop__number", "shop__name", "contract__number")
    date_hierarchy = "created_at"
    autocomplete_fields = ("shop", "contract", "recorded_by")

    def has_delete_permission(self, request: HttpRequest, obj: FinanceRecord | None = None) -> bool:
        """Nobody has it: a wrong entry is voided."""
        return False

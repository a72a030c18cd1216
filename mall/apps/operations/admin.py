from django.contrib import admin

from apps.operations.models import DeviceData, ManualOperationData, OperationAnalysis
from apps.record_admin import DeletableRecordAdmin, RecordAdmin


@admin.register(DeviceData)
class DeviceDataAdmin(RecordAdmin):
    list_display = ("device_number", "kind", "shop", "measured_at", "reading")
    list_filter = ("kind",)
    list_select_related = ("shop",)
    search_fields = ("device_number", "shop__number", "shop__name")
    date_hierarchy = "measured_at"
    autocomplete_fields = ("shop",)


@admin.register(ManualOperationData)
class ManualOperationDataAdmin(DeletableRecordAdmin):
    list_display = ("business_date", "shop", "revenue", "orders", "visitors", "entered_by", "is_deleted")
    list_filter = ("shop__floor", "shop__category", "is_deleted")
    list_select_related = ("shop", "entered_by")
    search_fields = ("shop__number", "shop__name", "note")
    date_hierarchy = "business_date"
    autocomplete_fields = ("shop", "entered_by")


@admin.register(OperationAnalysis)
class OperationAnalysisAdmin(RecordAdmin):
    list_display = (
        "month",
        "shop",
        "revenue",
        "revenue_per_square_metre",
        "average_order",
        "visitors",
        "conversion_rate",
        "grade",
    )
    list_filter = ("grade", "shop__floor", "shop__category")
    list_select_related = ("shop",)
    search_fields = ("shop__number", "shop__name", "remarks")
    date_hierarchy = "month"
    autocomplete_fields = ("shop",)

from django.contrib import admin

from apps.record_admin import DeletableRecordAdmin
from apps.store.models import Contract, Shop


@admin.register(Shop)
class ShopAdmin(DeletableRecordAdmin):
    list_display = ("number", "name", "category", "floor", "area", "contact", "phone", "status", "is_deleted")
    list_filter = ("status", "category", "floor", "is_deleted")
    search_fields = ("number", "name", "contact", "phone")
    date_hierarchy = "opened_on"


@admin.register(Contract)
class ContractAdmin(DeletableRecordAdmin):
    list_display = (
        "number",
        "shop",
        "starts_on",
        "ends_on",
        "monthly_rent",
        "billing_period",
        "status",
        "reviewed_by",
        "is_deleted",
    )
    list_filter = ("status", "billing_period", "is_deleted")
    list_select_related = ("shop", "reviewed_by")
    search_fields = ("number", "shop__number", "shop__name")
    date_hierarchy = "starts_on"
    autocomplete_fields = ("shop", "reviewed_by")

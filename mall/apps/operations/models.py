from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.records import DeletableRecord, Record
from apps.store.models import Shop


class DeviceData(Record):
    """One reading of one device. Devices of different kinds say different things, hence JSON."""

    class Kind(models.TextChoices):
        FOOTFALL = "FOOTFALL", _("Footfall counter")
        ELECTRICITY = "ELECTRICITY", _("Electricity meter")
        CLIMATE = "CLIMATE", _("Climate sensor")

    device_number = models.CharField(_("device number"), max_length=32)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    shop = models.ForeignKey(
        Shop,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="device_data",
        verbose_name=_("shop"),
        help_text=_("Empty for devices in public areas."),
    )
    measured_at = models.DateTimeField(_("measured at"), db_index=True)
    reading = models.JSONField(_("reading"), default=dict)

    class Meta:
        verbose_name = _("device reading")
        verbose_name_plural = _("device readings")
        ordering = ["-measured_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.device_number} {self.measured_at:%Y-%m-%d %H:%M}"


class ManualOperationData(DeletableRecord):
    """A shop's day as its staff report it."""

    shop = models.ForeignKey(Shop, models.CASCADE, related_name="manual_operation_data", verbose_name=_("shop"))
    business_date = models.DateField(_("business date"))
    revenue = models.DecimalField(_("revenue"), max_digits=12, decimal_places=2)
    orders = models.PositiveIntegerField(_("orders"))
    visitors = models.PositiveIntegerField(_("visitors"))
    note = models.TextField(_("note"), blank=True)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("entered by"),
    )

    class Meta:
        verbose_name = _("manual operation record")
        verbose_name_plural = _("manual operation records")
        ordering = ["-business_date", "shop"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "business_date"], name="one_manual_record_per_shop_and_day"),
        ]

    def __str__(self) -> str:
        return f"{self.shop} {self.business_date}"


class OperationAnalysis(Record):
    """A shop's month in figures."""

    class Grade(models.TextChoices):
        A = "A", _("A: thriving")
        B = "B", _("B: sound")
        C = "C", _("C: watch")
        D = "D", _("D: at risk")

    shop = models.ForeignKey(Shop, models.CASCADE, related_name="operation_analyses", verbose_name=_("shop"))
    month = models.DateField(_("month"), help_text=_("Its first day."))
    revenue = models.DecimalField(_("revenue"), max_digits=14, decimal_places=2)
    revenue_per_square_metre = models.DecimalField(_("revenue per m²"), max_digits=12, decimal_places=2)
    average_order = models.DecimalField(_("average order"), max_digits=10, decimal_places=2)
    visitors = models.PositiveIntegerField(_("visitors"))
    conversion_rate = models.DecimalField(
        _("conversion rate"),
        max_digits=5,
        decimal_places=4,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text=_("Orders per visitor, from 0 to 1."),
    )
    grade = models.CharField(_("grade"), max_length=1, choices=Grade)
    remarks = models.TextField(_("remarks"), blank=True)

    class Meta:
        verbose_name = _("operation analysis")
        verbose_name_plural = _("operation analyses")
        ordering = ["-month", "shop"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "month"], name="one_analysis_per_shop_and_month"),
        ]

    def __str__(self) -> str:
        return f"{self.shop} {self.month:%Y-%m}"

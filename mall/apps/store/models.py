from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.records import DeletableRecord


class Shop(DeletableRecord):
    class Category(models.TextChoices):
        FASHION = "FASHION", _("Fashion")
        DINING = "DINING", _("Dining")
        JEWELLERY = "JEWELLERY", _("Jewellery")
        BEAUTY = "BEAUTY", _("Beauty")
        DIGITAL = "DIGITAL", _("Digital")
        CHILDREN = "CHILDREN", _("Children")
        HOME = "HOME", _("Furnishings")
        SUPERMARKET = "SUPERMARKET", _("Supermarket")
        LEISURE = "LEISURE", _("Leisure")

    class Floor(models.TextChoices):
        B1 = "B1"
        L1 = "L1"
        L2 = "L2"
        L3 = "L3"
        L4 = "L4"
        L5 = "L5"

    class Status(models.TextChoices):
        FITTING_OUT = "FITTING_OUT", pgettext_lazy("shop", "Fitting out")
        OPEN = "OPEN", pgettext_lazy("shop", "Open")
        SUSPENDED = "SUSPENDED", pgettext_lazy("shop", "Suspended")
        CLOSED = "CLOSED", pgettext_lazy("shop", "Closed")

    number = models.CharField(_("shop number"), max_length=16, unique=True)
    name = models.CharField(_("name"), max_length=80)
    category = models.CharField(_("category"), max_length=16, choices=Category)
    floor = models.CharField(_("floor"), max_length=4, choices=Floor)
    area = models.DecimalField(_("area (m²)"), max_digits=8, decimal_places=2, validators=[MinValueValidator(0)])
    contact = models.CharField(_("contact"), max_length=40)
    phone = models.CharField(_("phone"), max_length=20)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.FITTING_OUT)
    opened_on = models.DateField(_("opened on"), null=True, blank=True)

    class Meta:
        verbose_name = _("shop")
        verbose_name_plural = _("shops")
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class Contract(DeletableRecord):
    class BillingPeriod(models.IntegerChoices):
        """Months that one bill covers."""

        MONTHLY = 1, pgettext_lazy("billing", "Monthly")
        QUARTERLY = 3, pgettext_lazy("billing", "Quarterly")
        HALF_YEARLY = 6, pgettext_lazy("billing", "Half-yearly")
        YEARLY = 12, pgettext_lazy("billing", "Yearly")

    class Status(models.TextChoices):
        DRAFT = "DRAFT", pgettext_lazy("contract", "Draft")
        IN_REVIEW = "IN_REVIEW", pgettext_lazy("contract", "In review")
        REJECTED = "REJECTED", pgettext_lazy("contract", "Rejected")
        ACTIVE = "ACTIVE", pgettext_lazy("contract", "Active")
        EXPIRED = "EXPIRED", pgettext_lazy("contract", "Expired")
        TERMINATED = "TERMINATED", pgettext_lazy("contract", "Terminated")

    number = models.CharField(_("contract number"), max_length=32, unique=True)
    shop = models.ForeignKey(Shop, models.PROTECT, related_name="contracts", verbose_name=_("shop"))
    starts_on = models.DateField(_("starts on"))
    ends_on = models.DateField(_("ends on"))
    monthly_rent = models.DecimalField(_("monthly rent"), max_digits=12, decimal_places=2)
    deposit = models.DecimalField(_("deposit"), max_digits=12, decimal_places=2)
    billing_period = models.PositiveSmallIntegerField(
        _("billing period"), choices=BillingPeriod, default=BillingPeriod.MONTHLY
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.DRAFT)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="reviewed_contracts",
        verbose_name=_("reviewed by"),
    )
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True, blank=True)
    review_comment = models.TextField(_("review comment"), blank=True)

    class Meta:
        verbose_name = _("contract")
        verbose_name_plural = _("contracts")
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on")),
                name="contract_ends_after_it_starts",
                violation_error_message=_("A contract can't end before it starts."),
            ),
        ]

    def __str__(self) -> str:
        return self.number

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.records import Record
from apps.store.models import Contract, Shop


class FinanceRecord(Record):
    """One entry in the books. Money is never marked as deleted: a wrong entry is voided, and says so.

    The mall's largest table, so it has no index but those on its shop, its contract and `created_at`.
    """

    class RecordType(models.TextChoices):
        RENT = "RENT", _("Rent")
        DEPOSIT = "DEPOSIT", _("Deposit")
        PROPERTY_FEE = "PROPERTY_FEE", _("Property fee")
        UTILITIES = "UTILITIES", _("Water and electricity")
        PROMOTION = "PROMOTION", _("Promotion fee")
        PARKING = "PARKING", _("Parking")
        PENALTY = "PENALTY", _("Penalty")

    class Status(models.TextChoices):
        UNPAID = "UNPAID", pgettext_lazy("bill", "Unpaid")
        PAID = "PAID", pgettext_lazy("bill", "Paid")
        OVERDUE = "OVERDUE", pgettext_lazy("bill", "Overdue")
        VOIDED = "VOIDED", pgettext_lazy("bill", "Voided")

    class PaymentMethod(models.TextChoices):
        WECHAT = "WECHAT", _("WeChat Pay")
        ALIPAY = "ALIPAY", _("Alipay")
        BANK_TRANSFER = "BANK_TRANSFER", _("Bank transfer")
        CASH = "CASH", _("Cash")

    shop = models.ForeignKey(Shop, models.PROTECT, related_name="finance_records", verbose_name=_("shop"))
    contract = models.ForeignKey(
        Contract,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="finance_records",
        verbose_name=_("contract"),
    )
    record_type = models.CharField(_("type"), max_length=16, choices=RecordType)
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    billing_start = models.DateField(_("billed from"))
    billing_end = models.DateField(_("billed to"))
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.UNPAID)
    payment_method = models.CharField(_("payment method"), max_length=16, choices=PaymentMethod, blank=True)
    transaction_id = models.CharField(_("transaction number"), max_length=64, blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("recorded by"),
    )

    class Meta:
        verbose_name = _("finance record")
        verbose_name_plural = _("finance records")
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["created_at"], name="finance_record_created_at")]

    def __str__(self) -> str:
        return f"{self.get_record_type_display()} {self.amount} ({self.billing_start} – {self.billing_end})"

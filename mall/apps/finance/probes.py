"""Questions that a drill asks of the restored books: a backup that restores and makes no sense is none."""

from django.db.models import F, Q, Sum
from django.utils.translation import gettext as _

from apps.finance.models import FinanceRecord


def rents_add_up() -> str:
    """Every bill is for something, ends after it begins, and is of its contract's shop; the latest month's rents."""
    senseless = FinanceRecord.objects.filter(Q(amount__lte=0) | Q(billing_end__lt=F("billing_start")))
    if found := senseless.first():
        raise ValueError(_("Finance record %(key)d makes no sense.") % {"key": found.pk})
    if found := FinanceRecord.objects.exclude(contract=None).exclude(contract__shop=F("shop")).first():
        raise ValueError(_("Finance record %(key)d is of another shop than its contract.") % {"key": found.pk})
    rents = FinanceRecord.objects.filter(record_type=FinanceRecord.RecordType.RENT)
    last = rents.order_by("billing_start").last()
    if last is None:
        return _("There are no rents yet.")
    first_day = last.billing_start.replace(day=1)
    month = rents.filter(billing_start__gte=first_day)
    total = month.aggregate(total=Sum("amount"))["total"]
    facts = {"month": f"{first_day:%Y-%m}", "total": f"{total:.2f}", "bills": month.count()}
    return _("Rents of %(month)s: %(total)s in %(bills)d bills.") % facts

"""Questions that a drill asks of the restored books: a backup that restores and makes no sense is none."""

from django.db.models import F, Sum

from apps.finance.models import FinanceRecord


def rents_add_up() -> str:
    """Every bill is for something, ends after it begins, and is of its contract's shop; the latest month's rents."""
    wrong = FinanceRecord.objects.filter(amount__lte=0) | FinanceRecord.objects.filter(
        billing_end__lt=F("billing_start")
    )
    if found := wrong.first():
        raise AssertionError(f"Record {found.pk} makes no sense: {found}.")
    if found := FinanceRecord.objects.exclude(contract=None).exclude(contract__shop=F("shop")).first():
        raise AssertionError(f"Record {found.pk} is of another shop than its contract.")
    last = FinanceRecord.objects.filter(record_type=FinanceRecord.RecordType.RENT).order_by("billing_start").last()
    if last is None:
        return "no rents yet"
    month = FinanceRecord.objects.filter(
        record_type=FinanceRecord.RecordType.RENT,
        billing_start__year=last.billing_start.year,
        billing_start__month=last.billing_start.month,
    )
    total = month.aggregate(total=Sum("amount"))["total"]
    return f"rents of {last.billing_start:%Y-%m}: {total:.2f} in {month.count()} bills"

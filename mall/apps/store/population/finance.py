"""The books: bills and payments, in the order in which they were entered. A million of them, so each must be cheap."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from django.contrib.auth.models import User

from apps.finance.models import FinanceRecord
from apps.store.models import Contract
from apps.store.population.money import yuan
from apps.store.population.timeline import CLOSING, OPENING, TODAY, last_day, moment, months_between

Status, RecordType = FinanceRecord.Status, FinanceRecord.RecordType

IN_FORCE = (Contract.Status.ACTIVE, Contract.Status.EXPIRED, Contract.Status.TERMINATED)
NOW = moment(TODAY, OPENING)
TERM_OF_PAYMENT = timedelta(days=30)
METHODS = ("BANK_TRANSFER", "WECHAT", "ALIPAY", "CASH")


@dataclass(frozen=True, slots=True)
class Lease:
    """What billing needs to know of a contract, so that it is worked out once."""

    contract_id: int
    shop_id: int
    starts_on: date
    ends_on: date
    months: int
    rent: Decimal
    deposit: Decimal
    property_fee: Decimal
    utilities: float

    def months_billed(self) -> Iterator[date]:
        return months_between(self.starts_on, min(self.ends_on, TODAY - timedelta(days=1)))


class Entry(NamedTuple):
    """A FinanceRecord's values."""

    shop_id: int
    contract_id: int
    record_type: str
    amount: Decimal
    billing_start: date
    billing_end: date
    status: str
    payment_method: str
    transaction_id: str
    paid_at: datetime | None
    recorded_by_id: int
    created_at: datetime
    updated_at: datetime


# How often a type is billed, and how much: a fixed amount, or one that varies.
Amount = Callable[[Lease, float], Decimal]
TYPES: dict[str, tuple[int, Amount]] = {
    RecordType.RENT.value: (34, lambda lease, _: lease.rent),
    RecordType.PROPERTY_FEE.value: (26, lambda lease, _: lease.property_fee),
    RecordType.UTILITIES.value: (24, lambda lease, chance: yuan(lease.utilities * (0.6 + 0.8 * chance))),
    RecordType.PROMOTION.value: (7, lambda _, chance: yuan(500 + 4_500 * chance)),
    RecordType.PARKING.value: (5, lambda _, chance: yuan(300 + 900 * chance)),
    RecordType.DEPOSIT.value: (2, lambda lease, _: lease.deposit),
    RecordType.PENALTY.value: (2, lambda _, chance: yuan(20 + 3_000 * chance * chance)),
}


def make_entries(rng: Random, contracts: Iterable[Contract], clerks: tuple[User, ...], count: int) -> Iterator[Entry]:
    """`count` entries, as many in each month as its share of the leases."""
    calendar: dict[date, list[Lease]] = {}
    for lease in map(_lease, (contract for contract in contracts if contract.status in IN_FORCE)):
        for month in lease.months_billed():
            calendar.setdefault(month, []).append(lease)
    clerk_ids = [clerk.pk for clerk in clerks]
    total = sum(map(len, calendar.values()))
    leases_before = entered = 0
    for month, leases in sorted(calendar.items()):
        leases_before += len(leases)
        upto = count * leases_before // total
        yield from _month(rng, month, leases, clerk_ids, upto - entered)
        entered = upto


def _month(rng: Random, month: date, leases: list[Lease], clerk_ids: list[int], size: int) -> Iterator[Entry]:
    last = min(last_day(month), TODAY - timedelta(days=1))
    weights = [weight for weight, _ in TYPES.values()]
    ends = {months: last_day(month, months) for months in Contract.BillingPeriod.values}
    drawn = zip(
        _entry_times(rng, month, (last - month).days + 1, size),
        rng.choices(list(TYPES), weights, k=size),
        rng.choices(leases, k=size),
        rng.choices(clerk_ids, k=size),
        strict=True,
    )
    for created_at, record_type, lease, clerk_id in drawn:
        months = lease.months if record_type == "RENT" else 1
        status, method, transaction_id, paid_at = _settlement(rng, created_at)
        yield Entry(
            shop_id=lease.shop_id,
            contract_id=lease.contract_id,
            record_type=record_type,
            amount=TYPES[record_type][1](lease, rng.random()),
            billing_start=month,
            billing_end=ends[months],
            status=status,
            payment_method=method,
            transaction_id=transaction_id,
            paid_at=paid_at,
            recorded_by_id=clerk_id,
            created_at=created_at,
            updated_at=_recorded_at(rng, paid_at) if paid_at else created_at,
        )


def _entry_times(rng: Random, first: date, days: int, count: int) -> Iterator[datetime]:
    """Spread over the office hours of the days: at odd moments, yet ever later, as numbers in books are."""
    hours = CLOSING - OPENING
    openings = [moment(first + timedelta(days=day), OPENING) for day in range(days)]
    for ordinal in range(count):
        day, rest = divmod(ordinal * days, count)
        yield openings[day] + hours * (rest + days * rng.random()) / count


def _recorded_at(rng: Random, paid_at: datetime) -> datetime:
    """When a clerk found the payment on the account: within some hours."""
    return paid_at + timedelta(seconds=20_000 * rng.random())


def _settlement(rng: Random, created_at: datetime) -> tuple[str, str, str, datetime | None]:
    """Status, method, transaction number and time of the payment, which may not have come yet."""
    chance = rng.random()
    if chance < 0.01:
        return Status.VOIDED.value, "", "", None
    paid_at = created_at + timedelta(seconds=int(rng.random() * 1_900_000))
    if paid_at >= NOW:
        return Status.UNPAID.value, "", "", None
    if chance > 0.98 and created_at > NOW - timedelta(days=365):
        return Status.OVERDUE.value if created_at + TERM_OF_PAYMENT < NOW else Status.UNPAID.value, "", "", None
    method = METHODS[int(rng.random() ** 2 * 4)]
    return Status.PAID.value, method, _transaction_id(rng, method, paid_at), paid_at


def _transaction_id(rng: Random, method: str, paid_at: datetime) -> str:
    """Numbers that look like those of the payment services, and can't be theirs."""
    day = f"{paid_at.year}{paid_at.month:02}{paid_at.day:02}"
    number = rng.getrandbits(49)
    match method:
        case "WECHAT":
            return f"42000{number % 10**5:05}{day}{number // 10**5:010}"
        case "ALIPAY":
            return f"{day}22001{number:015}"
        case "BANK_TRANSFER":
            return f"BT{day}{number % 10**10:010}"
        case _:
            return f"SJ{day}{number % 10**8:08}"


def _lease(contract: Contract) -> Lease:
    area = contract.shop.area
    return Lease(
        contract_id=contract.pk,
        shop_id=contract.shop_id,
        starts_on=contract.starts_on,
        ends_on=contract.ends_on,
        months=contract.billing_period,
        rent=contract.monthly_rent * contract.billing_period,
        deposit=contract.deposit,
        property_fee=(area * 35).quantize(Decimal("0.01")),
        utilities=float(area) * 28,
    )

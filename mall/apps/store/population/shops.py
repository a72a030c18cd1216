"""Shops, each with one or two contracts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from django.contrib.auth.models import User

from apps.store.models import Contract, Shop
from apps.store.population.money import yuan
from apps.store.population.timeline import TODAY, add_months, last_day, office_hours
from apps.store.population.vocabulary import brand, person, phone


@dataclass(frozen=True)
class Trade:
    """What is usual in a category."""

    weight: int
    floors: tuple[Shop.Floor, ...]
    area: tuple[int, int]
    rent_per_square_metre: tuple[int, int]


TRADES = {
    Shop.Category.FASHION: Trade(26, (Shop.Floor.L1, Shop.Floor.L2, Shop.Floor.L3), (60, 260), (260, 620)),
    Shop.Category.DINING: Trade(24, (Shop.Floor.B1, Shop.Floor.L4, Shop.Floor.L5), (50, 420), (150, 360)),
    Shop.Category.JEWELLERY: Trade(7, (Shop.Floor.L1,), (40, 120), (600, 1_100)),
    Shop.Category.BEAUTY: Trade(11, (Shop.Floor.L1, Shop.Floor.L2), (35, 140), (380, 780)),
    Shop.Category.DIGITAL: Trade(8, (Shop.Floor.B1, Shop.Floor.L3), (50, 220), (280, 520)),
    Shop.Category.CHILDREN: Trade(10, (Shop.Floor.L3, Shop.Floor.L4), (60, 380), (140, 300)),
    Shop.Category.HOME: Trade(7, (Shop.Floor.L3, Shop.Floor.L4), (80, 360), (130, 260)),
    Shop.Category.SUPERMARKET: Trade(2, (Shop.Floor.B1,), (180, 4_200), (60, 150)),
    Shop.Category.LEISURE: Trade(5, (Shop.Floor.L4, Shop.Floor.L5), (200, 3_200), (50, 120)),
}
STATUSES = {Shop.Status.OPEN: 86, Shop.Status.FITTING_OUT: 5, Shop.Status.SUSPENDED: 3, Shop.Status.CLOSED: 6}
COMMENTS = ("条款清楚，同意。", "租金符合指导价，同意。", "押金已核对，同意签约。", "同意，请按期归档。", "")
OBJECTIONS = ("租金低于指导价，请重新洽谈。", "缺少营业执照复印件。", "免租期过长，请说明理由。")


def make_shops(rng: Random, count: int) -> Iterator[Shop]:
    numbers: Counter[str] = Counter()
    categories = rng.choices(list(TRADES), [trade.weight for trade in TRADES.values()], k=count)
    statuses = rng.choices(list(STATUSES), list(STATUSES.values()), k=count)
    for category, status in zip(categories, statuses, strict=True):
        trade = TRADES[category]
        floor = rng.choice(trade.floors)
        numbers[floor] += 1
        opened_on = TODAY - timedelta(days=rng.randrange(120, 2_400))
        closed = status == Shop.Status.CLOSED
        fitting_out = status == Shop.Status.FITTING_OUT
        known_since = (TODAY if fitting_out else opened_on) - timedelta(days=120)
        changed_at = office_hours(rng, TODAY - timedelta(days=rng.randrange(1, 40)))
        is_deleted = closed and rng.random() < 0.5
        yield Shop(
            number=f"{floor}-{numbers[floor]:03}",
            name=brand(rng, category),
            category=category,
            floor=floor,
            # Most are small, few are large.
            area=yuan(trade.area[0] + (trade.area[1] - trade.area[0]) * rng.random() ** 2),
            contact=person(rng),
            phone=phone(rng),
            status=status,
            opened_on=None if fitting_out else opened_on,
            is_deleted=is_deleted,
            deleted_at=changed_at if is_deleted else None,
            created_at=office_hours(rng, known_since),
            updated_at=changed_at,
        )


def make_contracts(rng: Random, shops: Iterable[Shop], reviewers: tuple[User, ...]) -> Iterator[Contract]:
    """A shop's first contract is always one that is or was in force."""
    for shop in shops:
        first = _first_contract(rng, shop)
        _review(rng, first, reviewers)
        yield first
        second = _second_contract(rng, shop, first)
        if second:
            _review(rng, second, reviewers)
            yield second


def _first_contract(rng: Random, shop: Shop) -> Contract:
    starts_on = add_months(shop.opened_on or TODAY, -1)
    ends_on = last_day(starts_on, 12 * rng.choice((1, 2, 3, 3, 5)))
    status = Contract.Status.ACTIVE if ends_on >= TODAY else Contract.Status.EXPIRED
    if shop.status == Shop.Status.CLOSED and ends_on >= TODAY:
        ends_on, status = last_day(add_months(TODAY, -2)), Contract.Status.TERMINATED
    low, high = TRADES[Shop.Category(shop.category)].rent_per_square_metre
    rent = yuan(float(shop.area) * rng.randrange(low, high, 10))
    return _contract(rng, shop, 1, starts_on, ends_on, status, rent)


def _second_contract(rng: Random, shop: Shop, first: Contract) -> Contract | None:
    """The one that followed, or that is being negotiated."""
    starts_on = add_months(first.ends_on, 1)
    if shop.status == Shop.Status.CLOSED or add_months(TODAY, 18) < starts_on:
        return None
    rent = (first.monthly_rent * Decimal("1.05")).quantize(Decimal("0.01"))
    if first.status == Contract.Status.ACTIVE:
        status = rng.choice((Contract.Status.DRAFT, Contract.Status.IN_REVIEW, Contract.Status.REJECTED))
        return _contract(rng, shop, 2, starts_on, last_day(starts_on, 24), status, rent)
    years = 1
    while last_day(starts_on, 12 * years) < TODAY:
        years += 1
    return _contract(rng, shop, 2, starts_on, last_day(starts_on, 12 * years), Contract.Status.ACTIVE, rent)


def _contract(
    rng: Random, shop: Shop, ordinal: int, starts_on: date, ends_on: date, status: Contract.Status, rent: Decimal
) -> Contract:
    signed_on = min(starts_on, TODAY) - timedelta(days=rng.randrange(12, 30))
    signed_at = office_hours(rng, signed_on)
    return Contract(
        number=f"HT{starts_on.year}-{shop.number}-{ordinal}",
        shop=shop,
        starts_on=starts_on,
        ends_on=ends_on,
        monthly_rent=rent,
        deposit=rent * rng.choice((2, 3, 3)),
        billing_period=rng.choices(Contract.BillingPeriod.values, (60, 28, 7, 5))[0],
        status=status,
        created_at=signed_at,
        updated_at=signed_at,
    )


def _review(rng: Random, contract: Contract, reviewers: tuple[User, ...]) -> None:
    if contract.status in {Contract.Status.DRAFT, Contract.Status.IN_REVIEW}:
        return
    contract.reviewed_by = rng.choice(reviewers)
    contract.reviewed_at = contract.created_at + timedelta(hours=rng.randrange(20, 200))
    contract.review_comment = rng.choice(OBJECTIONS if contract.status == Contract.Status.REJECTED else COMMENTS)
    contract.updated_at = contract.reviewed_at

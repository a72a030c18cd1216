"""What devices measured, what shops reported and what the operators made of it."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from django.contrib.auth.models import User

from apps.operations.models import DeviceData, ManualOperationData, OperationAnalysis
from apps.store.models import Shop
from apps.store.population.money import yuan
from apps.store.population.timeline import TODAY, add_months, moment, months_between, office_hours

DAYS_MEASURED = 30
DAYS_REPORTED = 60
MONTHS_ANALYSED = 12
PUBLIC_SENSORS = 6
# What a customer spends at a time, in yuan.
AVERAGE_ORDERS = {
    Shop.Category.FASHION: (180, 600),
    Shop.Category.DINING: (45, 150),
    Shop.Category.JEWELLERY: (900, 4_000),
    Shop.Category.BEAUTY: (120, 500),
    Shop.Category.DIGITAL: (300, 2_500),
    Shop.Category.CHILDREN: (80, 300),
    Shop.Category.HOME: (150, 900),
    Shop.Category.SUPERMARKET: (35, 90),
    Shop.Category.LEISURE: (40, 160),
}
# How well a month went: its weight, and how much was sold compared to a sound one.
GRADES = {"A": (18, 1.5), "B": (52, 1.0), "C": (22, 0.75), "D": (8, 0.5)}
NOTES = ("周年庆促销", "会员日", "设备检修，下午停业两小时", "暴雨，客流偏少", "新品上市", "店员临时请假")
REMARKS = {
    "A": "业绩突出，建议优先续约。",
    "B": "经营平稳。",
    "C": "坪效下滑，请招商部跟进。",
    "D": "连续低于保底，存在退租风险。",
}


class Sales(NamedTuple):
    revenue: Decimal
    orders: int
    visitors: int


def make_device_data(rng: Random, shops: Iterable[Shop]) -> Iterator[DeviceData]:
    trading = [shop for shop in shops if shop.status == Shop.Status.OPEN]
    for ago in range(DAYS_MEASURED, 0, -1):
        day = TODAY - timedelta(days=ago)
        for sensor in range(1, PUBLIC_SENSORS + 1):
            climate = {"alarms": [], "humidity": rng.randrange(35, 60), "temperature": round(rng.uniform(20, 25), 1)}
            yield _reading(f"KT-{sensor:02}", DeviceData.Kind.CLIMATE, None, moment(day, timedelta(hours=14)), climate)
        for shop in trading:
            night = moment(day, timedelta(hours=22, seconds=rng.randrange(600)))
            visitors = _sales(rng, shop, days=1).visitors
            footfall = {"in": visitors, "out": visitors - rng.randrange(3), "peak": f"{rng.randrange(11, 21)}:00"}
            yield _reading(f"KL-{shop.number}", DeviceData.Kind.FOOTFALL, shop, night, footfall)
            power = {
                "kwh": round(float(shop.area) * rng.uniform(0.2, 0.6), 2),
                "phases": rng.sample(range(218, 236), 3),
            }
            yield _reading(f"DB-{shop.number}", DeviceData.Kind.ELECTRICITY, shop, night, power)


def make_manual_data(rng: Random, shops: Iterable[Shop], clerks: tuple[User, ...]) -> Iterator[ManualOperationData]:
    trading = [shop for shop in shops if shop.status == Shop.Status.OPEN]
    for ago in range(DAYS_REPORTED, 0, -1):
        day = TODAY - timedelta(days=ago)
        for shop in trading:
            sales = _sales(rng, shop, days=1)
            entered_at = moment(day, timedelta(hours=22, seconds=rng.randrange(3_600)))
            withdrawn = rng.random() < 0.004
            yield ManualOperationData(
                shop=shop,
                business_date=day,
                revenue=sales.revenue,
                orders=sales.orders,
                visitors=sales.visitors,
                note=rng.choice(NOTES) if rng.random() < 0.08 else "",
                entered_by=rng.choice(clerks),
                is_deleted=withdrawn,
                deleted_at=entered_at + timedelta(hours=12) if withdrawn else None,
                created_at=entered_at,
                updated_at=entered_at + timedelta(hours=12) if withdrawn else entered_at,
            )


def make_analyses(rng: Random, shops: Iterable[Shop]) -> Iterator[OperationAnalysis]:
    shops = [shop for shop in shops if shop.opened_on]
    for month in months_between(add_months(TODAY, -MONTHS_ANALYSED), add_months(TODAY, -1)):
        done_at = office_hours(rng, add_months(month, 1) + timedelta(days=2))
        for shop in shops:
            if shop.opened_on <= month and shop.status != Shop.Status.CLOSED:
                yield _analysis(rng, shop, month, done_at)


def _sales(rng: Random, shop: Shop, days: int, level: float = 1.0) -> Sales:
    low, high = AVERAGE_ORDERS[Shop.Category(shop.category)]
    average = rng.uniform(low, high)
    orders = 1 + round(float(shop.area) * days * level * rng.uniform(40, 100) / average)
    return Sales(orders * yuan(average), orders, round(orders / rng.uniform(0.08, 0.45)))


def _reading(
    number: str, kind: DeviceData.Kind, shop: Shop | None, measured_at: datetime, reading: dict[str, Any]
) -> DeviceData:
    received_at = measured_at + timedelta(seconds=2)
    return DeviceData(
        device_number=number,
        kind=kind,
        shop=shop,
        measured_at=measured_at,
        reading=reading,
        created_at=received_at,
        updated_at=received_at,
    )


def _analysis(rng: Random, shop: Shop, month: date, done_at: datetime) -> OperationAnalysis:
    grade = rng.choices(list(GRADES), [weight for weight, _ in GRADES.values()])[0]
    sales = _sales(rng, shop, days=30, level=GRADES[grade][1])
    return OperationAnalysis(
        shop=shop,
        month=month,
        revenue=sales.revenue,
        revenue_per_square_metre=yuan(float(sales.revenue / shop.area)),
        average_order=sales.revenue / sales.orders,
        visitors=sales.visitors,
        conversion_rate=Decimal(round(10_000 * sales.orders / sales.visitors)).scaleb(-4),
        grade=grade,
        remarks=REMARKS[grade],
        created_at=done_at,
        updated_at=done_at,
    )

"""The order in which a mall comes into being."""

from collections.abc import Iterator
from random import Random

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import Model

from apps.finance.models import FinanceRecord
from apps.operations.models import DeviceData, ManualOperationData, OperationAnalysis
from apps.store.models import Contract, Shop
from apps.store.population.finance import Entry, make_entries
from apps.store.population.loading import create, load
from apps.store.population.logs import make_log
from apps.store.population.operations import make_analyses, make_device_data, make_manual_data
from apps.store.population.shops import make_contracts, make_shops
from apps.store.population.staff import FINANCE, LEASING, OPERATIONS, form_departments, make_users


def populate(shops: int, finance_records: int, seed: int) -> Iterator[tuple[type[Model], int]]:
    """Fill an empty mall, kind by kind: yields each model and how many of its rows now exist."""

    def stream(concern: str) -> Random:
        return Random(f"{seed} {concern}")

    users = User.objects.bulk_create(make_users(stream("staff")))
    staff = form_departments(users)
    yield User, len(users)

    tenants = Shop.objects.bulk_create(make_shops(stream("shops"), shops))
    yield Shop, len(tenants)
    contracts = Contract.objects.bulk_create(make_contracts(stream("contracts"), tenants, staff[LEASING]))
    yield Contract, len(contracts)

    yield DeviceData, create(DeviceData, make_device_data(stream("devices"), tenants))
    reports = make_manual_data(stream("reports"), tenants, staff[OPERATIONS])
    yield ManualOperationData, create(ManualOperationData, reports)
    yield OperationAnalysis, create(OperationAnalysis, make_analyses(stream("analyses"), tenants))

    entries = make_entries(stream("finance"), contracts, staff[FINANCE], finance_records)
    yield FinanceRecord, load(FinanceRecord, Entry._fields, entries)
    yield LogEntry, create(LogEntry, make_log(stream("log"), tenants, contracts, staff[LEASING]))

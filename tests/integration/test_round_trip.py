"""What is backed up comes back, row for row."""

from decimal import Decimal

import pytest

from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)


def test_everything_comes_back_after_a_bad_night(backups, restores, rows_of_everything):
    keeper = Keeper.objects.create(name="李")
    for number in range(3):
        Animal.objects.create(name=f"猫 {number}", keeper=keeper, weight=Decimal("3.100"))
    before = rows_of_everything()
    record = backups.create_backup()

    Animal.objects.update(name="?")
    Animal.objects.first().delete()

    statistics = restores.restore_from_backup(record)

    assert rows_of_everything() == before
    assert statistics["animals"] == 4

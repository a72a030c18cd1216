"""Accounts and restores: our rows never stand in their way, and the plan says what happens to whom."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from backup_center.models import BackupLog, BackupRecord
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)


def people(*names: str, **flags) -> list[User]:
    return [User.objects.create_user(name, **flags) for name in names]


def warnings(restores, record, user=None) -> list[str]:
    return list(restores.plan(record, user=user).warnings)


def test_a_plan_that_changes_no_account_has_no_warnings(backups, restores):
    [actor] = people("li", is_staff=True)
    record = backups.create_backup()

    assert warnings(restores, record, actor) == []


def test_a_plan_without_the_accounts_has_no_warnings(backups, restores):
    record = backups.create_backup()
    [actor] = people("li")

    assert list(restores.plan(record, ["ZOO"], user=actor).warnings) == []


def test_the_plan_lists_accounts_that_come_back_and_vanish(backups, restores):
    _old, gone = people("old", "gone")
    record = backups.create_backup()
    gone.delete()
    people("new")

    assert warnings(restores, record) == ["Accounts that come back: gone.", "Accounts that vanish: new."]


def test_the_plan_lists_accounts_that_gain_and_lose_rights(backups, restores):
    boss, clerk, fired = people("boss", "clerk", "fired")
    User.objects.filter(pk=boss.pk).update(is_superuser=True, is_staff=True)
    record = backups.create_backup()
    User.objects.filter(pk=boss.pk).update(is_superuser=False)
    User.objects.filter(pk=clerk.pk).update(is_staff=True)
    User.objects.filter(pk=fired.pk).update(is_active=False)

    assert warnings(restores, record) == [
        "Accounts that gain rights: boss, fired.",
        "Accounts that lose rights: clerk.",
    ]


def test_the_plan_warns_that_the_acting_account_would_vanish(backups, restores):
    record = backups.create_backup()
    [actor] = people("li")

    assert warnings(restores, record, actor)[0] == ("Your own account (li) is not in this backup: it would vanish.")


def test_the_plan_warns_that_the_acting_account_would_lose_its_rights(backups, restores):
    [actor] = people("li")
    record = backups.create_backup()
    User.objects.update(is_superuser=True, is_staff=True)
    actor.refresh_from_db()

    assert warnings(restores, record, actor)[0] == "Your own account (li) would be without: is_staff, is_superuser."


def test_a_long_list_of_accounts_is_cut(backups, restores):
    record = backups.create_backup()
    User.objects.bulk_create(User(username=f"user{number:02}") for number in range(25))

    [line] = warnings(restores, record)
    assert line.startswith("Accounts that vanish: user00, user01")
    assert line.endswith("user19 and 5 more.")


def test_a_deleted_user_leaves_records_and_log_with_the_name(backups):
    [actor] = people("li")
    record = backups.create_backup(data_types=["ZOO"], user=actor)
    actor.delete()
    record.refresh_from_db()
    entry = BackupLog.objects.get()

    assert (record.created_by, record.created_by_name) == (None, "li")
    assert (entry.operated_by, entry.operated_by_name) == (None, "li")


def test_the_database_holds_no_constraint_from_our_tables_to_the_users():
    with connection.cursor() as cursor:
        for model in (BackupRecord, BackupLog):
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
            targets = {one["foreign_key"][0] for one in found.values() if one["foreign_key"]}
            assert User._meta.db_table not in targets


def test_users_removed_behind_our_back_do_not_block_a_restore(backups, restores):
    [actor] = people("li")
    record = backups.create_backup(data_types=["ZOO"], user=actor)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM auth_user")

    restores.restore_from_backup(record)
    record.refresh_from_db()

    assert (record.created_by, record.created_by_name) == (None, "li")
    assert not BackupLog.objects.exclude(operated_by=None).exists()


def test_a_restore_that_takes_the_actors_account_away_is_logged_under_the_name(backups, restores):
    record = backups.create_backup()
    [actor] = people("li")
    later = backups.create_backup(data_types=["ZOO"], user=actor)

    restores.restore_from_backup(record, user=actor)
    later.refresh_from_db()
    entry = BackupLog.objects.filter(operation="RESTORE").get()

    assert not User.objects.exists()
    assert (entry.operated_by, entry.operated_by_name, entry.log_level) == (None, "li", "SUCCESS")
    assert (later.created_by, later.created_by_name) == (None, "li")
    safety = BackupRecord.objects.get(trigger="safety")
    assert (safety.created_by, safety.created_by_name) == (None, "li")


def test_an_account_that_stays_keeps_its_records(backups, restores):
    [actor] = people("li")
    record = backups.create_backup(user=actor)
    Keeper.objects.create(name="new")

    restores.restore_from_backup(record, user=actor)
    record.refresh_from_db()

    assert record.created_by == actor
    assert BackupLog.objects.get(operation="RESTORE").operated_by == actor

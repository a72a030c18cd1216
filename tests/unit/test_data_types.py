"""BACKUP_DATA_TYPES and BACKUP_EXCLUDE: every covered model in exactly one type, and what is left out has a reason."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from backup_center import registry
from tests.zoo.models import Animal, Keeper


def labels(name: str) -> set[str]:
    return {model._meta.label for model in registry.data_types()[name].models}


def configure(settings, **types: list[str]) -> None:
    settings.BACKUP_DATA_TYPES = {name: {"models": models} for name, models in types.items()}


def test_every_covered_model_is_in_exactly_one_type():
    listed = [model for found in registry.data_types().values() for model in found.models]

    assert len(listed) == len(set(listed))
    assert set(listed) == set(registry.covered_models())


def test_without_configuration_each_installed_app_is_a_type(settings):
    settings.BACKUP_DATA_TYPES = None
    found = registry.data_types()

    assert {"ZOO", "AUTH", "ADMIN", "CONTENTTYPES"} <= set(found)
    assert found["ZOO"].stats == "zoo"
    assert found["ZOO"].mode == "replace"
    assert str(found["ZOO"].label) == apps.get_app_config("zoo").verbose_name
    assert "MESSAGES" not in found  # it has no models
    assert {"SESSIONS", "BACKUP"}.isdisjoint(found)  # they are excluded
    assert {model for one in found.values() for model in one.models} == set(registry.covered_models())


def test_names_labels_and_statistics_have_defaults(settings):
    configure(settings, ZOO=["zoo.*"], REST=["*"])
    found = registry.data_types()["ZOO"]

    assert (str(found), found.stats, found.mode) == ("ZOO", "zoo", "replace")


def test_a_model_in_two_types_is_an_error(settings):
    configure(settings, ONE=["zoo.Animal"], TWO=["zoo.Keeper", "zoo.Animal"])
    with pytest.raises(ImproperlyConfigured, match=r"zoo\.Animal.* ONE .*TWO"):
        registry.data_types()


def test_a_model_named_twice_in_one_type_is_fine(settings):
    configure(settings, ZOO=["zoo.*", "zoo.Animal"], REST=["*"])

    assert {"zoo.Animal", "zoo.Keeper"} <= labels("ZOO")


def test_automatic_many_to_many_tables_follow_the_declaring_model(settings):
    configure(settings, ANIMALS=["zoo.Animal"], USERS=["auth.User"], REST=["*"])

    assert labels("ANIMALS") == {"zoo.Animal", "zoo.Animal_friends"}
    assert labels("USERS") == {"auth.User", "auth.User_groups", "auth.User_user_permissions"}


def test_an_automatic_table_is_never_taken_from_its_declaring_model(settings):
    configure(settings, ANIMALS=["zoo.Animal"], FRIENDS=["zoo.Animal_friends"], REST=["*"])
    with pytest.raises(ImproperlyConfigured, match="ANIMALS"):
        registry.data_types()


def test_the_star_takes_what_nobody_else_names_wherever_it_stands(settings):
    configure(settings, REST=["*"], ANIMALS=["zoo.Animal"])

    assert labels("ANIMALS") == {"zoo.Animal", "zoo.Animal_friends"}
    assert {"zoo.Keeper", "auth.User", "admin.LogEntry"} <= labels("REST")


def test_two_catch_alls_are_an_error(settings):
    configure(settings, ONE=["*"], TWO=["*"])
    with pytest.raises(ImproperlyConfigured, match=r"ONE.*TWO"):
        registry.data_types()


def test_without_a_catch_all_the_rest_is_in_no_type_and_the_reason_is_given(settings):
    configure(settings, ANIMALS=["zoo.Animal"])

    assert list(registry.data_types()) == ["ANIMALS"]
    assert registry.not_covered("default", [])["zoo.keeper"] == "no data type names it"
    assert "zoo.animal" not in registry.not_covered("default", [])


@pytest.mark.parametrize(
    "configured",
    [
        ["zoo.Animal"],
        {"ZOO": ["zoo.Animal"]},
        {"ZOO": {}},
        {"ZOO": {"models": "zoo.Animal"}},
        {"ZOO": {"models": ["zoo.Unicorn"]}},
        {"ZOO": {"models": ["backup.BackupRecord"]}},
        {"ZOO": {"models": ["zoo.*"], "mode": "merge"}},
    ],
)
def test_a_malformed_entry_is_refused_by_name(settings, configured):
    settings.BACKUP_DATA_TYPES = configured
    with pytest.raises(ImproperlyConfigured, match="BACKUP_DATA_TYPES"):
        registry.data_types()


def test_our_own_tables_and_sessions_are_excluded_by_default():
    reasons = registry.not_covered("default", ["django_migrations"])

    for label in ("backup.backuprecord", "backup.backuplog", "backup.installation", "sessions.session"):
        assert reasons[label] == "excluded"
    assert reasons["django_migrations"] == "excluded"


def test_task_queues_and_schedulers_are_excluded_by_default(settings):
    for app in ("django_apscheduler", "django_celery_beat", "django_celery_results", "django_q", "procrastinate"):
        assert f"{app}.*" in registry.ALWAYS_EXCLUDED


def test_backup_exclude_extends_the_default_exclusions(settings):
    settings.BACKUP_EXCLUDE = ["zoo.animal"]  # labels are written in any case

    assert registry.is_excluded(Animal)
    assert registry.is_excluded(Animal.friends.through)  # with the table of its own
    assert not registry.is_excluded(Keeper)
    assert registry.is_excluded(apps.get_model("sessions.Session"))
    assert "zoo.Animal" not in labels("ZOO")
    reasons = registry.not_covered("default", [])
    assert reasons["zoo.animal"] == reasons["zoo.animal_friends"] == "excluded"


def test_an_excluded_app_is_not_a_type(settings):
    settings.BACKUP_DATA_TYPES = None
    settings.BACKUP_EXCLUDE = ["zoo.*"]

    assert "ZOO" not in registry.data_types()


def test_tables_that_no_model_describes_are_named():
    reasons = registry.not_covered("default", ["zoo_animal", "legacy_prices"])

    assert reasons["legacy_prices"] == "no model describes this table"
    assert "zoo_animal" not in reasons


class ZooLivesElsewhere:
    """A database router."""

    def allow_migrate(self, db, app_label, **hints):
        return (db == "elsewhere") == (app_label == "zoo")


def test_models_of_another_database_are_left_to_that_database(settings):
    settings.DATABASE_ROUTERS = [ZooLivesElsewhere()]

    here = {spec.label for spec in registry.table_specs("default")}
    there = {spec.label for spec in registry.table_specs("elsewhere")}

    assert "auth.user" in here
    assert "zoo.animal" in there
    assert here.isdisjoint(there)
    assert registry.not_covered("default", [])["zoo.animal"] == "it lives in another database"

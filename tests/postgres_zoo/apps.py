from django.apps import AppConfig
from django.contrib.postgres.signals import get_citext_oids, get_hstore_oids, register_type_handlers
from django.db import connections
from django.db.models.signals import pre_migrate

NEEDED = (
    "CREATE EXTENSION IF NOT EXISTS hstore",
    "CREATE EXTENSION IF NOT EXISTS citext",
    "CREATE EXTENSION IF NOT EXISTS btree_gist",
    "CREATE COLLATION IF NOT EXISTS any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
)


class PostgresZooConfig(AppConfig):
    name = "tests.postgres_zoo"
    label = "postgres_zoo"

    def ready(self) -> None:
        pre_migrate.connect(prepare, sender=self)


def prepare(using: str, **_kwargs: object) -> None:
    """The types and collations that the models use, before their tables are made."""
    with connections[using].cursor() as cursor:
        for statement in NEEDED:
            cursor.execute(statement)
    get_hstore_oids.cache_clear()
    get_citext_oids.cache_clear()
    register_type_handlers(connections[using])

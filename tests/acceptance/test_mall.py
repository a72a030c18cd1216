"""The mall itself: the reference host that everything else is shown with."""

import os

from tests.projects import SERVER, SMALL, Project, once

TABLES = (
    "store_shop",
    "store_contract",
    "operations_devicedata",
    "operations_manualoperationdata",
    "operations_operationanalysis",
    "finance_financerecord",
    "auth_user",
    "auth_group",
    "django_admin_log",
)
ADMIN_PAGES = """
import json
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

client = Client()
client.force_login(User.objects.create_superuser("admin"))
answers = {reverse("admin:index"): client.get(reverse("admin:index")).status_code}
for model in admin.site._registry:
    if not model._meta.app_config.name.startswith("apps."):
        continue
    stem = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    pages = [reverse(f"{stem}_changelist"), reverse(f"{stem}_add")]
    pages.append(reverse(f"{stem}_change", args=[model.objects.first().pk]))
    for page in pages:
        answers[page] = client.get(page, headers={"host": "localhost"}).status_code
print(json.dumps(answers))
"""


def columns_and_indexes(project: Project, table: str) -> tuple[int, int]:
    """How many columns the table has, and how many indexes besides its primary key's."""
    if SERVER is None:
        columns = project.rows(f"SELECT count(*) FROM pragma_table_info('{table}')")
        indexes = project.rows(f"SELECT count(*) FROM pragma_index_list('{table}') WHERE origin <> 'pk'")
    else:
        columns = project.rows(f"SELECT count(*) FROM information_schema.columns WHERE table_name = '{table}'")
        indexes = project.rows(
            f"SELECT count(*) FROM pg_index WHERE indrelid = '{table}'::regclass AND NOT indisprimary"
        )
    return columns[0][0], indexes[0][0]


def contents(project: Project) -> dict[str, list]:
    return {table: project.rows(f"SELECT * FROM {table} ORDER BY id") for table in TABLES}


def test_the_finance_table_is_as_wide_as_promised(first_mall: Project):
    assert columns_and_indexes(first_mall, "finance_financerecord") == (14, 3)


def test_every_table_of_the_mall_is_populated(first_mall: Project):
    found = contents(first_mall)

    assert all(found.values())
    assert len(found["store_shop"]) == 4
    assert len(found["finance_financerecord"]) == 120


def test_a_populated_mall_is_not_populated_again(first_mall: Project):
    before = contents(first_mall)

    assert "already has shops" in first_mall.run("populate_mall", *SMALL, code=1).stderr
    assert contents(first_mall) == before


@once
def test_the_same_seed_makes_the_same_mall_and_another_seed_another(make_mall, first_mall, tmp_path):
    again = make_mall(tmp_path / "again")
    again.run("migrate", "--verbosity=0")
    bare = make_mall(tmp_path / "bare", like=again)
    again.run("populate_mall", *SMALL, "--verbosity=0")
    bare.run("populate_mall", *SMALL, "--seed=7", "--verbosity=0")

    assert contents(again) == contents(first_mall)
    assert contents(bare)["finance_financerecord"] != contents(first_mall)["finance_financerecord"]


def test_the_admin_pages_of_the_mall_load(mall: Project):
    answers = mall.python(ADMIN_PAGES, DJANGO_ALLOWED_HOSTS="testserver")

    assert len(answers) == 1 + 6 * 3
    assert set(answers.values()) == {200}


def test_the_mall_is_private_to_its_account(first_mall: Project):
    for path in (first_mall.folder / "keys", first_mall.folder / "keys" / "secret_key"):
        assert path.stat().st_mode & 0o077 == 0
        assert path.stat().st_uid == os.geteuid()

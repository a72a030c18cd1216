"""Any project, no configuration: add the app, migrate, back up. The project is tests/foreign_project."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import ROOT, SERVER, Project, on_server, once, searched

ACTOR = """
import json
from people.models import Doctor, Letter, Member, Patient, Surgeon
from backup_center.models import BackupRecord
from backup_center.services import BackupService, RestoreService
actor = Member.objects.filter(email="li@clinic.example").first()
"""


@pytest.fixture(scope="module")
def make_clinic(new_database: Callable[..., str]) -> Callable[..., Project]:
    """The project, its databases migrated, with a few people in it."""

    def make(folder: Path, **environment: str) -> Project:
        folder.mkdir()
        environment = {"DJANGO_SETTINGS_MODULE": "clinic.settings", "CLINIC_DIR": str(folder), **environment}
        database = str(folder / "clinic.sqlite3")
        if SERVER is not None:
            database = new_database()
            options = {"ENGINE": "django.db.backends.postgresql", "NAME": database}
            environment["CLINIC_DATABASE"] = json.dumps({**options, **parts_of(on_server(database))})
        manage = ROOT / "tests/foreign_project/manage.py"
        return Project(manage=manage, folder=folder, database=database, environment=environment)

    return make


def parts_of(url: str) -> dict[str, str]:
    from psycopg.conninfo import conninfo_to_dict

    found = conninfo_to_dict(url)
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    return {names[key]: str(value) for key, value in found.items() if key in names}


@pytest.fixture(scope="module")
def clinic(make_clinic, tmp_path_factory) -> Project:
    found = make_clinic(tmp_path_factory.mktemp("foreign") / "clinic")
    found.run("migrate", "--verbosity=0")
    found.run("migrate", "--verbosity=0", "--database=archive")
    found.python(
        ACTOR + "Member.objects.create_user('li@clinic.example', is_superuser=True)\n"
        "Patient.objects.create(name='赵').doctors.add(Surgeon.objects.create(name='钱', field='heart'))\n"
        "Letter.objects.create(text='Dear')\nprint(json.dumps(None))"
    )
    return found


def test_it_has_no_setting_of_ours():
    text = (ROOT / "tests/foreign_project/clinic/settings.py").read_text(encoding="utf-8")

    assert "BACKUP_DIR" not in text
    assert "BACKUP_DATA_TYPES" not in text


def test_nothing_is_to_be_mended(clinic: Project):
    assert "no issues" in clinic.run("check", "--database=default", "--database=archive").stdout


def test_a_backup_goes_below_the_base_dir_with_one_type_per_app(clinic: Project):
    taken = clinic.json("backup_database")

    assert (clinic.folder / "backups" / taken["file"]).stat().st_size == taken["size"]
    assert taken["data_types"] == ["AUTH", "CONTENTTYPES", "MEMBERS"]
    assert taken["not_covered"]["members.visit"] == "excluded"  # a session, whatever its name
    assert taken["not_covered"]["members.letter"] == "it lives in another database"
    assert clinic.json("verify_backups", taken["name"], "--deep")["damaged"] == {}


def test_a_lost_patient_comes_back_by_the_hand_of_a_member(clinic: Project):
    outcome = clinic.python(
        ACTOR
        + """
record = BackupService().create_backup(user=actor)
before = list(Patient.objects.values_list("name", "doctors__surgeon__field"))
Patient.objects.all().delete()
Surgeon.objects.all().delete()
newcomer = Member.objects.create_user("new@clinic.example")
warnings = [RestoreService().plan(record, user=user).warnings for user in (actor, newcomer)]
statistics = RestoreService().restore_from_backup(record, user=actor)
record.refresh_from_db()
print(json.dumps({
    "same": before == list(Patient.objects.values_list("name", "doctors__surgeon__field")),
    "warnings": warnings,
    "members": statistics["members"],
    "by": [record.created_by_name, record.created_by == actor, record.is_automatic],
}))
"""
    )

    assert outcome == {
        "same": True,
        "warnings": [
            ["Accounts that vanish: new@clinic.example."],
            [
                "Your own account (new@clinic.example) is not in this backup: it would vanish.",
                "Accounts that vanish: new@clinic.example.",
            ],
        ],
        "members": 4,  # a member, a patient, a surgeon and the doctor that a surgeon is
        "by": ["li@clinic.example", True, False],
    }


def test_the_second_database_is_backed_up_and_restored_by_its_alias(clinic: Project):
    taken = clinic.json("backup_database", "--database=archive")
    assert taken["rows"] == 1
    assert clinic.python(ACTOR + "print(Letter.objects.update(text='spoilt'))") == 1

    restored = clinic.json("restore_database", taken["name"], "--yes")

    assert restored["statistics"]["members"] == 1
    assert clinic.python(ACTOR + "print(json.dumps(Letter.objects.get().text))") == "Dear"


@pytest.mark.slow
def test_each_of_its_databases_drills(clinic: Project):
    held = "print(json.dumps([Letter.objects.count(), Patient.objects.count()]))"
    before = clinic.python(ACTOR + held)

    for alias, label in (("archive", "members.letter"), ("default", "members.patient")):
        name = clinic.json("backup_database", f"--database={alias}")["name"]
        found = clinic.json("drill_backups", name)
        tables = {table["label"]: (table["found"], table["ok"]) for table in found["tables"]}
        assert tables[label] == (1, True)

    assert before == clinic.python(ACTOR + held) == [1, 1]


def test_a_view_inside_atomic_requests_is_told_how_to_get_out(clinic: Project):
    careless, careful = clinic.python(
        "import json; from django.test import Client; client = Client();"
        "answers = [client.get(path) for path in ('/careless/', '/careful/')];"
        "print(json.dumps([[answer.status_code, answer.content.decode()] for answer in answers]))"
    )

    assert careless[0] == 409
    assert "ATOMIC_REQUESTS" in careless[1]
    assert "non_atomic_requests" in careless[1]
    assert careful[0] == 200
    assert careful[1].startswith("backup_full_")


@once
def test_multi_table_parents_and_children_are_one_type(clinic: Project):
    outcome = clinic.python(
        """
import json
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from backup_center import registry

def models(**types):
    with override_settings(BACKUP_DATA_TYPES={name: {"models": found} for name, found in types.items()}):
        try:
            return {name: sorted(m._meta.label for m in found.models) for name, found in registry.data_types().items()}
        except ImproperlyConfigured as error:
            return str(error)

print(json.dumps([
    models(PEOPLE=["members.Surgeon"], REST=["*"])["PEOPLE"],
    models(PEOPLE=["members.Doctor"], REST=["*"])["PEOPLE"],
    models(ONE=["members.Doctor"], TWO=["members.Surgeon"], REST=["*"]),
]))
"""
    )

    assert outcome[0] == outcome[1] == ["members.Doctor", "members.Surgeon"]
    assert "is in both ONE and TWO" in outcome[2]


@pytest.fixture
def relabelled(tmp_path: Path) -> dict[str, str]:
    """What the README advises where an app is labelled ``backup`` already, word for word."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [(name, code)] = re.findall(r"^```python\n# yourproject/(\w+)\.py\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    [path] = re.findall(rf'"(yourproject\.{name}\.\w+)"', readme)
    (tmp_path / "yourproject").mkdir()
    (tmp_path / "yourproject" / f"{name}.py").write_text(code)
    return {"CLINIC_CLASH": path, "PYTHONPATH": searched(tmp_path)}


@once
def test_migrations_stay_clean_with_and_without_another_label(clinic: Project, relabelled: dict[str, str]):
    for label in ({}, relabelled):
        assert "No changes" in clinic.run("makemigrations", "--check", "--dry-run", **label).stdout


def test_beside_an_app_labelled_backup_everything_works_under_another_label(make_clinic, relabelled, tmp_path):
    clinic = make_clinic(tmp_path / "clinic", **relabelled)
    clinic.run("migrate", "--verbosity=0")
    clinic.python("from legacy_backup.models import Tape; print(Tape.objects.create(number='7').pk)")
    taken = clinic.json("backup_database")
    clinic.python("from legacy_backup.models import Tape; print(Tape.objects.all().delete()[0])")
    clinic.json("restore_database", taken["name"], "--yes")

    assert clinic.rows("SELECT number FROM backup_tape") == [("7",)]
    assert "BACKUP" in taken["data_types"]
    assert taken["not_covered"]["backup_center.backuprecord"] == "excluded"
    assert clinic.rows("SELECT count(*) FROM backup_center_backuprecord") == [(2,)]
    codenames = clinic.rows(
        "SELECT p.codename FROM auth_permission p JOIN django_content_type c ON c.id = p.content_type_id"
        " WHERE c.app_label = 'backup_center'"
    )
    assert ("restore_backuprecord",) in codenames


@once
def test_the_admin_works_under_another_label_and_in_requests_that_are_transactions(make_clinic, relabelled, tmp_path):
    relabelled["DJANGO_SETTINGS_MODULE"] = "clinic.with_admin"
    clinic = make_clinic(tmp_path / "clinic", **relabelled)
    clinic.run("migrate", "--verbosity=0")
    clinic.run("backup_database", "--verbosity=0")
    answers = clinic.python(
        """
import json
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client
from people.models import Member
from backup_center.models import BackupLog, BackupRecord

settings.BACKUP_REAUTHENTICATE_SECONDS = 0

def client(*codenames):
    member = Member.objects.create_user(f"{len(codenames)}@clinic.example")
    member.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    found = Client()
    found.force_login(member)
    return found

url = "/admin/backup_center/backuprecord/"
looks = [client(*codenames).get(url).status_code for codenames in ([], ["view_backuprecord"])]
record = BackupRecord.objects.get()
post = {"post": "yes"}
deletes = client("view_backuprecord", "delete_backuprecord").post(f"{url}{record.pk}/delete/", post).status_code
print(json.dumps([looks, deletes, BackupRecord.objects.count(), BackupLog.objects.first().operation]))
"""
    )

    assert answers == [[403, 200], 302, 0, "DELETE"]


@once
def test_the_pages_work_under_another_label_without_context_processors_or_messages(make_clinic, relabelled, tmp_path):
    relabelled["DJANGO_SETTINGS_MODULE"] = "clinic.with_admin"
    clinic = make_clinic(tmp_path / "clinic", **relabelled)
    clinic.run("migrate", "--verbosity=0")
    answers = clinic.python(
        """
import json
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client
from people.models import Member
from backup_center import registry
from backup_center.models import BackupRecord

settings.TEMPLATES[0]["OPTIONS"]["context_processors"] = []
settings.MIDDLEWARE.pop()
settings.BACKUP_REAUTHENTICATE_SECONDS = 0
member = Member.objects.create_user("me@clinic.example")
client = Client()
client.force_login(member)
refused = client.get("/backup/")
member.user_permissions.set(Permission.objects.filter(codename__endswith="_backuprecord"))
types = list(registry.data_types())
created = client.post("/backup/create/", {"backup_type": "FULL", "data_types": types})
record = BackupRecord.objects.get()
Member.objects.create_user("other@clinic.example")
looks = [client.get(url).status_code for url in ("/backup/", "/backup/log/", "/backup/settings/", created["Location"])]
plan = client.get(f"/backup/{record.pk}/restore/").content.decode()
restored = client.post(f"/backup/{record.pk}/restore/", {"types": types, "confirm": "1"})
print(json.dumps([
    refused.status_code, "backup_center.view_backuprecord" in refused.content.decode(), created.status_code, looks,
    "other@clinic.example" in plan, restored.status_code, Member.objects.count(),
]))
"""
    )

    assert answers == [403, True, 302, [200, 200, 200, 200], True, 302, 1]

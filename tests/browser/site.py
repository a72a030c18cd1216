"""A mall that is served, and its people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.projects import ROOT, Project, searched

ADMINISTRATOR = "admin"
FORTNIGHT = "import json; from tests.browser.fortnight import live_through; print(json.dumps(live_through()))"
SIGN_IN = """
import json, os
from django.contrib.auth.models import Permission, User
from django.test import Client
from backup_center.services import identity

wanted = json.loads(os.environ["SIGN_IN"])
user, _new = User.objects.update_or_create(username=wanted["name"], defaults=wanted["flags"])
ours = Permission.objects.filter(content_type__app_label="backup", codename__in=wanted["permissions"])
assert {permission.codename for permission in ours} == set(wanted["permissions"])
user.user_permissions.set(ours)
client = Client()
client.force_login(user)
session = client.session
session[identity.KEY] = identity.mark_for(user)
session.save()
print(json.dumps(client.cookies["sessionid"].value))
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a project is served."""

    project: Project
    url: str

    def sign_in(self, name: str = ADMINISTRATOR, *permissions: str, staff: bool = True) -> dict[str, str]:
        """The cookie of a person, made if need be, with exactly these permissions; the administrator has all.

        ``permissions``: such as ``view_backuprecord``.
        """
        flags = {"is_staff": staff, "is_superuser": name == ADMINISTRATOR}
        wanted = json.dumps({"name": name, "permissions": permissions, "flags": flags})
        return {"name": "sessionid", "value": self.project.python(SIGN_IN, SIGN_IN=wanted), "url": self.url}


def live_through(project: Project) -> dict[str, int]:
    """Two weeks; returns keys of backups and entries to look at, see ``fortnight``."""
    # In the language of those who will read the log.
    return project.python(FORTNIGHT, PYTHONPATH=searched(ROOT), MALL_LANGUAGE="zh-hans")


@contextmanager
def serve(project: Project, **more: str) -> Iterator[Site]:
    """Serve it while the block runs. What the server says goes to ``server.log`` in the project's folder."""
    environment = {
        **os.environ,
        **project.environment,
        **more,
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
        "PYTHONPATH": searched(ROOT, project.manage.parent),
    }
    with (
        (project.folder / "server.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.browser.server"],
            env=environment,
            stdin=subprocess.PIPE,  # closed at the end: that ends the server
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as server,
    ):
        port = server.stdout.readline().strip()
        assert port, (project.folder / "server.log").read_text()
        yield Site(project=project, url=f"http://127.0.0.1:{port}")

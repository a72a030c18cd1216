"""The mall's settings, and the strictest policy that a host may have: scripts and styles from its own files alone."""

from config.settings import *  # noqa: F403
from config.settings import MIDDLEWARE

BACKUP_REAUTHENTICATE_SECONDS = 24 * 60 * 60  # those who are signed in by ``Site`` need not prove again who they are
MIDDLEWARE = ["tests.browser.server.strict", *MIDDLEWARE]

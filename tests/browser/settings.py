"""The mall's settings, and the strictest policy that a host may have: scripts and styles from its own files alone."""

from config.settings import *  # noqa: F403
from config.settings import MIDDLEWARE

MIDDLEWARE = ["tests.browser.server.strict", *MIDDLEWARE]

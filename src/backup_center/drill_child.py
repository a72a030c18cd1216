"""``python -m backup_center.drill_child``: the process that a drill restores in. ``services.drilling`` starts it.

It is told what to do, and the scratch database, by one line of JSON on its standard input, which stays open as long as
the parent lives; it answers by lines of JSON. Nothing secret stands in its arguments.
"""

from __future__ import annotations

import json
import os
import sys
from threading import Thread
from typing import Any

# Whatever is loaded here must need no settings: they are changed before anything sees them.
from .seclusion import seclude


def main() -> None:
    order = json.loads(sys.stdin.readline())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the project prints is no answer
    Thread(target=_end_with_the_parent, name="backup-drill-parent", daemon=True).start()
    sys.path[:] = order["path"]

    def tell(**facts: Any) -> None:
        answers.write(json.dumps(facts, ensure_ascii=True, default=str) + "\n")
        answers.flush()

    import django
    from django.conf import settings

    seclude(settings, order["scratch"])
    django.setup()

    from django.utils import translation

    from .services import rehearsal

    with translation.override(order["language"]):
        tell(**rehearsal.rehearse(order, lambda phase, done, total: tell(phase=phase, done=done, total=total)))


def _end_with_the_parent() -> None:
    while os.read(0, 1):  # not through sys.stdin, whose lock would be in the way of a normal end
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

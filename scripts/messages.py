"""The texts to translate: collected from code and templates into catalogues, and compiled.

python scripts/messages.py [update] [compile] [check]

update     collect the texts into locale/<language>/LC_MESSAGES/django.po; what is translated stays, what is gone goes
compile    make django.mo from django.po
check      name texts that are new, gone, untranslated, fuzzy or with other placeholders than the original's, and each
           django.mo that is older than its django.po; exit 1 if there are any

Equal texts give equal bytes: no dates, no line numbers, and nothing guessed from similar texts.
"""

import ast
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog as BabelCatalog
from babel.messages.catalog import Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("zh_Hans",)
SOURCES = (ROOT / "src" / "backup_center", ROOT / "mall")
HEADERS = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}


class Catalog(BabelCatalog):
    """A catalogue whose header holds nothing that changes by itself."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in super().mime_headers if name in HEADERS]


@dataclass(frozen=True)
class Translation:
    root: Path
    language: str

    @property
    def po(self) -> Path:
        return self.root / "locale" / self.language / "LC_MESSAGES" / "django.po"

    @property
    def mo(self) -> Path:
        return self.po.with_suffix(".mo")

    def stored(self) -> Catalog:
        """What django.po holds."""
        catalog = self.empty()
        if self.po.exists():
            for message in read_po(io.BytesIO(self.po.read_bytes()), locale=self.language, ignore_obsolete=True):
                if message.id:
                    catalog[message.id] = message
        return catalog

    def collected(self) -> Catalog:
        """The texts of code and templates, with the stored translations."""
        catalog, stored = self.empty(), self.stored()
        for path, text, comments, context in texts(self.root):
            known = stored.get(text, context) or Message(text, context=context)
            catalog.add(
                text,
                known.string,
                locations=[(path, 0)],
                flags=known.flags & {"fuzzy"},
                auto_comments=comments,
                user_comments=known.user_comments,
                context=context,
            )
        return catalog

    def empty(self) -> Catalog:
        return Catalog(locale=self.language, header_comment="# Written by `make messages`.", fuzzy=False)

    def compiled(self) -> bytes:
        buffer = io.BytesIO()
        write_mo(buffer, self.stored())
        return buffer.getvalue()


def texts(root: Path) -> Iterator[tuple[str, str | tuple[str, ...], list[str], str | None]]:
    """File, text or (singular, plural), comments for translators, context."""
    for path in sorted(root.rglob("*")):
        if path.suffix == ".py":
            source = path.read_bytes() + calls_in_f_strings(path.read_bytes())
        elif "templates" in path.parts and path.suffix in {".html", ".txt"}:
            # Django turns a template into calls of gettext between blanked-out text; its indentation isn't Python's.
            source = "\n".join(map(str.strip, templatize(path.read_text("utf-8")).splitlines())).encode()
        else:
            continue
        for _, text, comments, context in extract("python", io.BytesIO(source), KEYWORDS, ("Translators:",)):
            yield path.relative_to(root).as_posix(), text, comments, context


def calls_in_f_strings(source: bytes) -> bytes:
    """These calls again, outside: before Python 3.12 whoever looks at tokens can't see into an f-string."""
    strings = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]
    calls = [node for string in strings for node in ast.walk(string) if isinstance(node, ast.Call)]
    return "".join(f"\n{ast.unparse(call)}" for call in calls).encode()


def update(translation: Translation) -> list[str]:
    buffer = io.BytesIO()
    write_po(buffer, translation.collected(), sort_by_file=True, include_lineno=False)
    translation.po.parent.mkdir(parents=True, exist_ok=True)
    translation.po.write_bytes(buffer.getvalue())
    return []


def compile_(translation: Translation) -> list[str]:
    translation.mo.write_bytes(translation.compiled())
    return []


def check(translation: Translation) -> list[str]:
    """What is wrong, a line each."""
    stored, collected = translation.stored(), translation.collected()
    problems = [f"gone from the sources, run `make messages`: {m.id!r}" for m in stored if not find(m, collected)]
    for message in collected:
        if not find(message, stored):
            problems.append(f"new, run `make messages`: {message.id!r}")
        elif not is_translated(message):
            problems.append(f"untranslated: {message.id!r}")
        elif message.fuzzy:
            problems.append(f"fuzzy: {message.id!r}")
        else:
            problems += [f"{error}: {message.id!r}" for error in message.check(collected)]
    if not translation.mo.exists() or translation.mo.read_bytes() != translation.compiled():
        problems.append(f"{translation.mo.name} is not what it compiles to, run `make messages`")
    return [f"{translation.po.relative_to(ROOT)}: {problem}" for problem in problems]


def find(message: Message, catalog: Catalog) -> bool:
    # A text that is used in the singular and in the plural has one entry, under the singular.
    return not message.id or catalog.get(message.id, message.context) is not None


def is_translated(message: Message) -> bool:
    return all(message.string) if message.pluralizable else bool(message.string)


VERBS = {"update": update, "compile": compile_, "check": check}


def main(verbs: list[str]) -> int:
    if not verbs or not set(verbs) <= set(VERBS):
        print(__doc__, file=sys.stderr)
        return 2
    problems = []
    for verb in verbs:
        for root in SOURCES:
            for language in LANGUAGES:
                problems += VERBS[verb](Translation(root, language))
    print("\n".join(problems) or f"{' and '.join(verbs)}: ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

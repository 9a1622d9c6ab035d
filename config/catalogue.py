"""The catalogue of translations: what the code and the pages say, and what German says for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from config.settings.environment import ROOT

GERMAN = ROOT / "config" / "locale" / "de" / "LC_MESSAGES" / "django.po"
APPS = (
    "config",
    "governance",
    "inference_bridge",
    "insights",
    "labeling",
    "mes_integration",
    "retraining",
    "review",
    "traceability",
)
# Babel's own table, with the names the modules import gettext under and those templatize writes.
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
HEADER = """# German. Renewed by `manage.py update_catalogue`, answered by people.
msgid ""
msgstr ""
"Language: de\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
# The .mo carries dates; a fixed one keeps unchanged words an unchanged file.
DATED = datetime(2026, 1, 1, tzinfo=UTC)


def sources(root: Path = ROOT) -> Iterator[Path]:
    """Every module and template whose words a person may read."""
    for app in APPS:
        yield from sorted((root / app).rglob("*.py"))
    yield from sorted((root / "templates").rglob("*.html"))


def extracted() -> Catalog:
    """What stands in the sources, each message with the places it stands at."""
    catalogue = Catalog()
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        stream = BytesIO(_as_python(path).encode())
        for _line, message, comments, context in extract(
            "python", stream, keywords=KEYWORDS, comment_tags=("Translators:",)
        ):
            catalogue.add(message, locations=[(place, 0)], auto_comments=comments, context=context)
    return catalogue


def _as_python(path: Path) -> str:
    """A template as calls of gettext between placeholders, in lines Python's tokenizer reads."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".html":
        return text
    return "\n".join(line.strip() for line in templatize(text, origin=str(path)).splitlines())


def german() -> Catalog:
    """The German catalogue as it lies in the repository."""
    if not GERMAN.exists():
        return Catalog(locale="de")
    with GERMAN.open("rb") as file:
        return read_po(file, locale="de")


def renewed() -> Catalog:
    """The German catalogue with every message of the sources, the known answers kept."""
    catalogue = german()
    catalogue.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    return catalogue


def as_text(catalogue: Catalog) -> bytes:
    """The .po file."""
    buffer = BytesIO()
    write_po(buffer, catalogue, width=100, omit_header=True, sort_output=True, include_lineno=False)
    return HEADER.encode() + buffer.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """The .mo file Django reads."""
    catalogue.creation_date = catalogue.revision_date = DATED
    catalogue.fuzzy = False
    buffer = BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def open_messages(catalogue: Catalog) -> list[str]:
    """What has no German, or one that nobody has confirmed."""
    return [
        str(message.id)
        for message in catalogue
        if message.id and (message.fuzzy or not _answered(message.string))
    ]


def _answered(string: str | Iterable[str] | None) -> bool:
    """A plural needs every form; an empty one counts as none."""
    return bool(string) and all(string or ())

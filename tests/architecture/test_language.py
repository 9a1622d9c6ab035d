"""German stands beside every English word a person reads."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from django.utils.translation import gettext, ngettext, override

from config import catalogue
from config.settings.environment import ROOT

HOLES = re.compile(r"%\(\w+\)[\d.]*[a-z]|%%|%[a-z]|\{\w+\}")


def texts(message: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [message] if isinstance(message, str) else list(message or ())


def test_every_string_of_code_and_pages_has_its_german() -> None:
    assert catalogue.open_messages(catalogue.renewed()) == [], "run manage.py update_catalogue"


def test_the_catalogue_holds_nothing_that_nobody_says_any_more() -> None:
    said = {message.id for message in catalogue.extracted()}
    assert {message.id for message in catalogue.german()} - said == set()


def test_a_translation_keeps_the_holes_that_are_filled_in() -> None:
    wrong = [
        message.id
        for message in catalogue.german()
        if message.id
        # A German singular may do without the number.
        and set(HOLES.findall(texts(message.id)[-1]))
        != set(HOLES.findall(texts(message.string)[-1]))
    ]
    assert wrong == []


def answers(read: Catalog) -> dict[tuple[str, ...], list[str]]:
    return {tuple(texts(m.id)): texts(m.string) for m in read if m.id}


def test_what_django_reads_is_what_the_catalogue_says() -> None:
    compiled = read_mo(BytesIO(catalogue.GERMAN.with_suffix(".mo").read_bytes()))
    assert answers(compiled) == answers(catalogue.german()), "run manage.py update_catalogue"


def test_german_is_spoken() -> None:
    with override("de"):
        assert gettext("Rework") == "Nacharbeit"
        assert ngettext("%(n)s needs a person", "%(n)s need a person", 2) == (
            "%(n)s brauchen einen Menschen"
        )


@pytest.mark.parametrize(
    "place", ["review/views.py", "templates/base.html", "traceability/refusals.py"]
)
def test_modules_and_pages_are_both_looked_through(place: str) -> None:
    assert place in {path.relative_to(ROOT).as_posix() for path in catalogue.sources()}


def test_an_answer_that_is_empty_or_unconfirmed_is_told() -> None:
    german = catalogue.german()
    german["Rework"].string = ""
    german["Scrap"].flags.add("fuzzy")
    assert sorted(catalogue.open_messages(german)) == ["Rework", "Scrap"]

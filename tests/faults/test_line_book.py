"""The book of a tablet's presses counts as out of order what is, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.line_book import Book, Press, out_of_order


def pressed(*keys: str, overtaken: Sequence[str] = ()) -> Book:
    """Verdicts in this order, of which some may be overtaken."""
    kept = {key: Press(key, "decision", seq, "at", None) for seq, key in enumerate(keys)}
    return Book(kept=kept, overtaken=set(overtaken))


def units(keys: str) -> list[tuple[str, int]]:
    """Recorded in this order, each verdict about a unit of its own."""
    return [(key, ord(key)) for key in keys]


@pytest.mark.parametrize(
    ("recorded", "count"), [("abcd", 0), ("bacd", 1), ("bcda", 1), ("dabc", 3), ("acd", 0)]
)
def test_what_comes_after_a_later_one_is_out_of_order(recorded: str, count: int) -> None:
    assert out_of_order(pressed(*"abcd"), units(recorded)) == count


def test_what_was_set_aside_may_come_after_later_ones() -> None:
    assert out_of_order(pressed(*"abcd", overtaken="b"), units("acdb")) == 0


def test_what_was_set_aside_may_not_come_before_earlier_ones() -> None:
    assert out_of_order(pressed(*"abcd", overtaken="b"), units("bacd")) == 1


def test_what_comes_after_what_was_set_aside_is_still_in_its_order() -> None:
    assert out_of_order(pressed(*"abcd", overtaken="b"), units("adbc")) == 1


def test_of_one_unit_nothing_may_be_overtaken() -> None:
    book = pressed(*"ab", overtaken="a")
    assert out_of_order(book, [("b", 1), ("a", 1)]) == 1
    assert out_of_order(book, [("b", 1), ("a", 2)]) == 0

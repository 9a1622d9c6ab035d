"""What a tablet kept and called saved, noted from outside of its code, against what arrived."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from django.db.models import Count

from benchmarks.figures import Figure
from governance.models import Attendance
from review.models import Decision, DecisionWithdrawal, SecondOpinion

# Notes every press once the disk has it, and every press that the screen then calls saved.
WATCH: Final = """(() => {
  let latest = null;
  let open = 0;
  const { add } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.add = function (value, ...rest) {
    const asked = add.call(this, value, ...rest);
    if (this.name === "rows") {
      const { key, kind, attendance, body } = value;
      open += 1;
      this.transaction.addEventListener("abort", () => { open -= 1; });
      this.transaction.addEventListener("complete", () => {
        open -= 1;
        latest = { key, kind, attendance, seq: asked.result, undone: body.decision_key ?? null };
        window.told({ what: "kept", ...latest });
      });
    }
    return asked;
  };
  addEventListener("DOMContentLoaded", () => {
    const says = document.getElementById("undo-says");
    if (!says) return;
    new MutationObserver(() => {
      if (!says.textContent) return;
      window.told(open > 0 ? { what: "early" } : { what: "shown", ...latest });
    }).observe(says, { childList: true, characterData: true, subtree: true });
  });
})()"""


class Press(NamedTuple):
    """One press that the disk has."""

    key: str
    kind: str
    seq: int
    attendance: str
    undone: str | None


@dataclass
class Book:
    """The presses of one tablet."""

    kept: dict[str, Press] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    early: int = 0
    overtaken: set[str] = field(default_factory=set)
    """What was pressed after these may be recorded before them, unless it is about the same."""

    def told(self, _source: Any, said: dict[str, Any]) -> None:
        """The page has kept or shown something."""
        if said["what"] == "early":
            self.early += 1
        elif said["what"] == "kept":
            fields = {name: said[name] for name in Press._fields}
            self.kept[said["key"]] = Press(**fields)
        elif said.get("key"):
            self.shown.append(said["key"])

    @property
    def decisions(self) -> list[Press]:
        """Verdicts, in the order of the presses."""
        verdicts = (press for press in self.kept.values() if press.kind == "decision")
        return sorted(verdicts, key=lambda press: press.seq)


def compare(book: Book) -> list[Figure]:
    """What became of the presses, counted in the tables."""
    pressed = [press.key for press in book.decisions]
    found = Decision.objects.filter(idempotency_key__in=pressed).order_by("pk")
    recorded = list(found.values_list("idempotency_key", "task_id"))
    late = [str(key) for key in SecondOpinion.objects.order_by("pk").values_list("key", flat=True)]
    times = Counter([*(key for key, _task in recorded), *late])
    said = {key for key in book.shown if book.kept[key].kind == "decision"}
    lost = sum(times[key] == 0 for key in {*pressed, *said}) + _undos_lost(book, late)
    return [
        Figure("line.decisions", len(pressed), "decisions"),
        Figure("line.lost", lost, "decisions"),
        Figure("line.doubled", sum(n > 1 for n in times.values()) + _standing_twice(), "decisions"),
        Figure("line.out_of_order", out_of_order(book, recorded), "decisions"),
        Figure("line.other_name", _other_name(book), "decisions"),
        Figure("line.saved_too_early", book.early, "decisions"),
        Figure("line.second_opinions", len(set(late) & set(pressed)), "decisions"),
        Figure("line.taken_back", _undone(book), "decisions"),
    ]


def _standing_twice() -> int:
    """Tasks with more than one verdict that counts."""
    standing = Decision.objects.filter(withdrawal__isnull=True).values("task")
    return standing.annotate(times=Count("pk")).filter(times__gt=1).count()


def out_of_order(book: Book, recorded: Sequence[tuple[str, int]]) -> int:
    """Recorded after a later press, where that may not overtake it; of one unit none may.

    `recorded`: keys and tasks, in the order in which they were recorded.
    """
    place = {press.key: number for number, press in enumerate(book.decisions)}
    by_task: dict[int, list[int]] = defaultdict(list)
    for key, task in recorded:
        by_task[task].append(place[key])
    late, latest = 0, -1
    for key, _task in recorded:
        late += place[key] < latest and key not in book.overtaken
        latest = max(latest, place[key])
    return late + sum(map(_descents, by_task.values()))


def _descents(places: Sequence[int]) -> int:
    return sum(one > other for one, other in itertools.pairwise(places))


def _other_name(book: Book) -> int:
    """Recorded under another name than that of who stood there."""
    people = dict(Attendance.objects.values_list("uuid", "user_id"))
    by_key = dict(Decision.objects.values_list("idempotency_key", "decided_by_id"))
    there = {str(attendance): person for attendance, person in people.items()}
    return sum(
        by_key[press.key] != there[press.attendance]
        for press in book.decisions
        if press.key in by_key
    )


def _undone(book: Book) -> int:
    return sum(press.undone is not None for press in book.kept.values())


def _undos_lost(book: Book, late: Sequence[str]) -> int:
    """Taken back at the tablet, but neither withdrawn nor kept for a lead."""
    withdrawn = {
        *DecisionWithdrawal.objects.values_list("decision__idempotency_key", flat=True),
        *map(str, SecondOpinion.objects.exclude(withdrawn_at=None).values_list("key", flat=True)),
    }
    undos = [press for press in book.kept.values() if press.undone is not None]
    return sum(press.undone not in withdrawn and press.key not in late for press in undos)

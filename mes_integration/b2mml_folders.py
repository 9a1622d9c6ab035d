"""B2MML files that lie there for us: acknowledgements of what was dropped, and documents sent in.

A file is moved away only after what it says is recorded, so that whoever stops in between finds it
again; what is recorded twice changes nothing.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _

from governance.access import system
from mes_integration import b2mml_inbound, inbound
from mes_integration.adapters.b2mml import Word, word_in
from mes_integration.adapters.b2mml_acknowledgements import LARGEST as LARGEST_ANSWER
from mes_integration.adapters.b2mml_acknowledgements import archived, limited, waiting_in
from mes_integration.adapters.b2mml_files import Folders, folders_of
from mes_integration.adapters.b2mml_xml import LARGEST, Unreadable, read
from mes_integration.targets import targets
from traceability.models import Site
from traceability.refusals import Conflict, Refusal, Unavailable

MOST: Final = 500
"""Files of one folder that are taken in one go."""
YOUNG_S: Final = 60.0
"""As long as a file that cannot be read may still be being written."""
_MES: Final = system("mes")
_log = logging.getLogger(__name__)
_complained: set[str] = set()


@dataclass(frozen=True, slots=True)
class Inbox:
    """A folder of the settings, and whose documents come there."""

    folder: Path
    site: str
    target: str


def collect(*, clock: Callable[[], datetime]) -> int:
    """Take what lies in every folder of the settings; how many files were put away."""
    taken = 0
    for name, folders in folders_of(targets()).items():
        taken += _visited(folders.base, partial(acknowledgements, name, folders, clock))
    for inbox in settings.LOUPE.b2mml_inbox:
        box = Inbox(inbox.folder, inbox.site, inbox.target)
        taken += _visited(box.folder, partial(documents, box, clock))
    return taken


def _visited(folder: Path, take: Callable[[], int]) -> int:
    """A folder that is not there does not keep the others waiting; it is complained of once."""
    try:
        taken = take()
    except OSError as error:
        if str(folder) not in _complained:
            _complained.add(str(folder))
            _log.warning("B2MML files in %s cannot be taken: %s", folder, error)
        return 0
    _complained.discard(str(folder))
    return taken


def acknowledgements(target: str, folders: Folders, clock: Callable[[], datetime]) -> int:
    """Record each file in the target's `ack`, then put it away under the key it answers."""
    folders.ready()
    put_away = 0
    for path in waiting_in(folders.ack)[:MOST]:
        try:
            word = _word(path)
            if word is None:
                continue
            _acknowledge(target, word, at=clock())
        except Unavailable:
            return put_away
        except (Refusal, Unreadable) as refused:
            _put_away_bad(path, folders.bad, refused.sentence)
        else:
            _move(path, archived(folders.done, word.key))
            (folders.sent / f"{word.key}.xml").unlink(missing_ok=True)
        put_away += 1
    return put_away


def _word(path: Path) -> Word | None:
    """What a file acknowledges; None while it may still be being written."""
    try:
        word = word_in(read(limited(path, LARGEST_ANSWER), largest=LARGEST_ANSWER))
    except FileNotFoundError:
        return None
    except Unreadable:
        if _is_young(path):
            return None
        raise
    if word is None:
        raise Unreadable(_("This is no ConfirmBOD, Acknowledge or Respond document."))
    if not word.key.replace("-", "").isalnum():
        raise Unreadable(_("The BODID it answers is none of ours."))
    return word


def _acknowledge(target: str, word: Word, *, at: datetime) -> None:
    try:
        inbound.acknowledge(
            actor=_MES,
            target=target,
            key=word.key,
            state="applied" if word.is_taken else "rejected",
            reference=word.reference,
            reason=word.reason or _("The MES rejected it without saying why."),
            at=at,
        )
    except Conflict:
        # It is kept as an open conflict for a person; the file has said what it had to say.
        return


def documents(inbox: Inbox, clock: Callable[[], datetime]) -> int:
    """Take each file in the inbox's `in`; its answer goes to `answers`."""
    coming = inbox.folder / "in"
    if not coming.is_dir():
        message = f"{coming} is not there; mount the share or make the folder"
        raise FileNotFoundError(message)
    site = Site.objects.filter(code=inbox.site).first()
    if site is None:
        message = f"LOUPE_B2MML_INBOX names the site {inbox.site}, which there is not"
        raise FileNotFoundError(message)
    for ours in ("answers", "done", "bad"):
        (inbox.folder / ours).mkdir(exist_ok=True)
    put_away = 0
    for path in waiting_in(coming)[:MOST]:
        try:
            put_away += _take(path, inbox, site, at=clock())
        except Unavailable:
            return put_away
    return put_away


def _take(path: Path, inbox: Inbox, site: Site, *, at: datetime) -> bool:
    """Whether the file is done with."""
    bad = inbox.folder / "bad"
    try:
        taken = b2mml_inbound.take(
            actor=_MES,
            site=site,
            target_name=inbox.target,
            payload=limited(path, LARGEST),
            at=at,
        )
    except FileNotFoundError:
        return False
    except Unavailable:
        raise
    except Refusal as refused:
        if refused.reason == "unreadable" and _is_young(path):
            return False
        _put_away_bad(path, bad, refused.sentence)
        return True
    if taken.document.word is None:
        _write_whole(inbox.folder / "answers" / f"{path.stem}.xml", taken.answer)
    if taken.refused == len(taken.results):
        _put_away_bad(path, bad, "\n".join(f"{r.place}: {r.sentence}" for r in taken.results))
    else:
        _move(path, _spare(inbox.folder / "done" / path.name))
    return True


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < YOUNG_S
    except FileNotFoundError:
        return True


def _put_away_bad(path: Path, bad: Path, sentence: str) -> None:
    """Beside the file lies why; the reason first, so that no file is ever there without one."""
    kept = _spare(bad / path.name)
    _write_whole(kept.with_name(f"{kept.name}.reason.txt"), f"{sentence}\n".encode())
    _move(path, kept)


def _move(path: Path, to: Path) -> None:
    try:
        path.replace(to)
    except FileNotFoundError:
        # Somebody else has put it away; what it says is recorded.
        return


def _spare(path: Path) -> Path:
    """A name under which nothing lies yet."""
    found, number = path, 1
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return found


def _write_whole(path: Path, content: bytes) -> None:
    """Never there by half."""
    writing = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with writing.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)

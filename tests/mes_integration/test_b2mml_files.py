"""The file drop: never half a file, never two, and clear words when a folder fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mes_integration import b2mml_folders
from mes_integration.adapters import b2mml
from mes_integration.adapters.b2mml_files import FileMes, Folders
from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    Handed,
    MesAdapter,
    Message,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.models import MesChange
from mes_integration.targets import Target
from tests.mes_integration.b2mml import KEY, confirm, message
from tests.mes_integration.plant import NOW, enqueued

NAME = f"{KEY}.xml"


def folders(base: Path, **options: Any) -> Folders:
    given = {"look_after_s": 0.01, **options}
    return Folders(Target("mes", "b2mml-files", str(base), "b2mml-files", options=given))


@pytest.fixture
def share(tmp_path: Path) -> Path:
    for name in ("out", "ack"):
        (tmp_path / name).mkdir()
    return tmp_path


def sent(**more: Any) -> Message:
    return message("b2mml-files", **more)


def mes(share: Path, **more: Any) -> FileMes:
    return FileMes(folders(share), **more)


def lying(share: Path) -> list[str]:
    return sorted(path.name for path in (share / "out").iterdir())


def fetch(share: Path, name: str = NAME) -> None:
    (share / "out" / name).unlink()


def acknowledge(share: Path, payload: bytes, name: str = "answer.xml") -> Path:
    path = share / "ack" / name
    path.write_bytes(payload)
    return path


def test_a_document_is_dropped_under_its_key_and_nothing_else_is_left(share: Path) -> None:
    answer = mes(share).post(sent())
    assert isinstance(answer, Handed)
    assert lying(share) == [NAME]
    assert (share / "out" / NAME).read_bytes() == b2mml.document(sent())
    assert list((share / "work").iterdir()) == []


def test_a_second_drop_overwrites_nothing_and_doubles_nothing(share: Path) -> None:
    mes(share).post(sent())
    written = (share / "out" / NAME).stat()
    assert isinstance(mes(share).post(sent()), Handed)
    assert lying(share) == [NAME]
    assert (share / "out" / NAME).stat().st_ino == written.st_ino


def test_one_said_anew_lies_beside_what_was_not_fetched(share: Path) -> None:
    mes(share).post(sent())
    mes(share).post(sent(reason="Said otherwise."))
    assert lying(share) == [f"{KEY}.2.xml", NAME]


def test_what_was_fetched_a_moment_ago_is_not_dropped_again(share: Path) -> None:
    mes(share).post(sent())
    fetch(share)
    assert isinstance(mes(share).post(sent()), Handed)
    assert lying(share) == []


def test_what_was_fetched_and_never_acknowledged_is_for_a_person(share: Path) -> None:
    mes(share).post(sent())
    fetch(share)
    assert isinstance(mes(share).read_back(sent()), Handed)
    later = time.time() + sent().profile.capabilities.max_processing_s + 1
    answer = mes(share, clock=lambda: later).read_back(sent())
    assert isinstance(answer, Uncertain)
    assert "settle it or send it again" in answer.sentence
    # A person has looked there and sends it again.
    assert isinstance(mes(share, clock=lambda: later).post(sent()), Handed)
    assert lying(share) == [NAME]


def test_an_mes_that_takes_a_bodid_once_is_sent_it_again(share: Path) -> None:
    mes(share).post(sent())
    fetch(share)
    told = sent()
    can = told.profile.capabilities.model_copy(update={"key": True})
    told = Message(
        told.key, told.record, told.body, told.profile.model_copy(update={"capabilities": can})
    )
    later = time.time() + can.max_processing_s + 1
    assert mes(share, clock=lambda: later).read_back(told) is None


def test_what_was_never_dropped_is_not_held(share: Path) -> None:
    assert mes(share).read_back(sent()) is None


@pytest.mark.parametrize("dies_at", ["before the mark", "before the rename", "after the rename"])
def test_a_writer_that_is_killed_leaves_no_doubt(share: Path, dies_at: str) -> None:
    program = f"""
import os, sys
os.environ.update(DATABASE_URL="postgresql://x/x", DJANGO_SETTINGS_MODULE="config.settings.test")
import django; django.setup()
from pathlib import Path
from mes_integration.adapters import b2mml_files
from tests.mes_integration.test_b2mml_files import mes, sent
def die(*_): os._exit(9)
def moved(a, b): os.rename(a, b); die()
where = {dies_at!r}
if where == "before the mark":
    b2mml_files._sync = die
renames = {{"before the rename": die, "after the rename": moved}}.get(where, os.rename)
mes(Path({str(share)!r}), rename=renames).post(sent())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=150
    )
    assert ended.returncode == 9, ended.stderr.decode()
    found = mes(share).read_back(sent())
    if dies_at == "after the rename":
        assert isinstance(found, Handed)
        assert lying(share) == [NAME]
    else:
        assert found is None
        assert lying(share) == []
    mes(share).post(sent())
    assert lying(share) == [NAME]
    assert list((share / "work").iterdir()) == []


def test_a_writer_that_was_frozen_drops_nothing_when_it_wakes(share: Path) -> None:
    """Another has taken over meanwhile, and the MES has fetched what that one dropped."""

    def late(writing: Path, final: Path) -> None:
        mes(share).post(sent())
        fetch(share)
        writing.rename(final)

    assert isinstance(mes(share, rename=late).post(sent()), Handed)
    assert lying(share) == []


def test_the_acknowledgement_settles_it(share: Path) -> None:
    mes(share).post(sent())
    fetch(share)
    acknowledge(share, confirm(KEY, reference="TR-1"))
    assert mes(share).read_back(sent()) == Applied("TR-1")
    assert mes(share).post(sent()) == Applied("TR-1")
    assert lying(share) == []


def last_word(adapter: MesAdapter) -> Answer | None:
    """What is read back once the adapter has looked into its folder again."""
    ends = time.monotonic() + 60
    while isinstance(answer := adapter.read_back(sent()), Handed):
        assert time.monotonic() < ends, "the acknowledgement is not seen"
    return answer


def test_a_refusal_names_its_reason_and_what_is_sent_again_is_answered_anew(share: Path) -> None:
    adapter = mes(share)
    adapter.post(sent())
    fetch(share)
    acknowledge(share, confirm(KEY, reason="unit is shipped"))
    answer = last_word(adapter)
    assert isinstance(answer, Refused)
    assert "unit is shipped" in answer.sentence
    assert isinstance(adapter.post(sent()), Handed)
    assert lying(share) == [NAME]
    fetch(share)
    assert isinstance(adapter.read_back(sent()), Handed)
    acknowledge(share, confirm(KEY, reference="TR-2"), "second.xml")
    assert last_word(adapter) == Applied("TR-2")


def test_half_an_acknowledgement_is_waited_for(share: Path) -> None:
    adapter = mes(share)
    adapter.post(sent())
    fetch(share)
    path = acknowledge(share, confirm(KEY)[:-20])
    acknowledge(share, confirm(KEY), "whole.tmp")
    assert isinstance(adapter.read_back(sent()), Handed)
    path.write_bytes(confirm(KEY))
    time.sleep(0.02)
    assert isinstance(adapter.read_back(sent()), Applied)


# What a folder can do to us


@pytest.mark.parametrize("gone", ["out", "ack"])
def test_a_share_that_is_not_mounted_is_named_and_nothing_is_made_in_its_place(
    share: Path, gone: str
) -> None:
    (share / gone).rmdir()
    answer = mes(share).post(sent())
    assert isinstance(answer, TryLater)
    assert not answer.may_have_arrived
    assert str(share / gone) in answer.sentence
    assert "mount the share" in answer.sentence
    assert not (share / gone).exists()
    assert isinstance(mes(share).read_back(sent()), TryLater)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A share of its own file system, with little room."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here (needs root)")
    for name in ("out", "ack", "work", "sent", "done", "bad"):
        (tmp_path / name).mkdir()
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_named_and_nothing_half_is_seen(tiny: Path) -> None:
    filler = tiny / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
    answer = mes(tiny).post(sent())
    assert isinstance(answer, TryLater)
    assert not answer.may_have_arrived
    assert "no room left" in answer.sentence
    assert lying(tiny) == []
    filler.unlink()
    assert mes(tiny).read_back(sent()) is None
    assert isinstance(mes(tiny).post(sent()), Handed)
    assert (tiny / "out" / NAME).read_bytes() == b2mml.document(sent())


def test_a_read_only_share_is_named(tiny: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
    answer = mes(tiny).post(sent())
    assert isinstance(answer, TryLater)
    assert not answer.may_have_arrived
    assert "may not write" in answer.sentence


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EXDEV])
def test_a_rename_that_fails_leaves_nothing_behind(share: Path, code: int) -> None:
    def failing(_writing: Path, _final: Path) -> None:
        raise OSError(code, os.strerror(code))

    answer = mes(share, rename=failing).post(sent())
    assert isinstance(answer, TryLater)
    assert not answer.may_have_arrived
    assert lying(share) == []
    assert mes(share).read_back(sent()) is None
    assert isinstance(mes(share).post(sent()), Handed)


@pytest.mark.parametrize("fetched", [False, True])
def test_a_rename_that_is_done_and_then_said_to_have_failed_counts(
    share: Path, fetched: bool
) -> None:
    def lying_share(writing: Path, final: Path) -> None:
        writing.rename(final)
        if fetched:
            final.unlink()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    assert isinstance(mes(share, rename=lying_share).post(sent()), Handed)
    assert lying(share) == ([] if fetched else [NAME])
    assert isinstance(mes(share).read_back(sent()), Handed)


def test_a_key_that_leads_elsewhere_is_not_a_name(share: Path) -> None:
    answer = mes(share).post(sent(disposition_id="../../etc/passwd"))
    assert isinstance(answer, Refused)
    assert lying(share) == []


# Acknowledgements are put away once they are recorded


def collected(share: Path) -> int:
    return b2mml_folders.acknowledgements("mes", folders(share), lambda: datetime.now(UTC))


def aged(path: Path) -> Path:
    before = time.time() - 2 * b2mml_folders.YOUNG_S
    os.utime(path, (before, before))
    return path


@pytest.mark.django_db
def test_an_acknowledgement_is_recorded_and_then_put_away_under_its_key(share: Path) -> None:
    row = enqueued(at=NOW)
    type(row).objects.filter(pk=row.pk).update(state="SENT")
    acknowledge(share, confirm(str(row.uuid), reference="TR-9"))
    assert collected(share) == 1
    row.refresh_from_db()
    assert (row.state, row.reference) == ("ACKNOWLEDGED", "TR-9")
    assert list((share / "ack").iterdir()) == []
    assert [p.name for p in (share / "done").iterdir()] == [f"{row.uuid}.xml"]
    held = mes(share).read_back(sent(disposition_id=str(row.uuid)))
    assert held == Applied("TR-9")


@pytest.mark.django_db
def test_a_contradicting_acknowledgement_is_kept_as_a_conflict_and_put_away_beside(
    share: Path,
) -> None:
    row = enqueued(at=NOW)
    type(row).objects.filter(pk=row.pk).update(state="SENT")
    acknowledge(share, confirm(str(row.uuid), reference="TR-9"))
    collected(share)
    acknowledge(share, confirm(str(row.uuid), reason="taken back"))
    collected(share)
    assert MesChange.objects.filter(state="OPEN", write_back=row).count() == 1
    assert len(list((share / "done").iterdir())) == 2
    held = mes(share).read_back(sent(disposition_id=str(row.uuid)))
    assert held == Applied("TR-9")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (confirm(KEY), "Nothing was sent"),
        (confirm("../../x"), "none of ours"),
        (b"<broken", "no well-formed XML"),
        (b"", "empty"),
        (b"<a/>", "no ConfirmBOD"),
    ],
)
def test_a_bad_one_is_put_aside_with_its_reason(share: Path, payload: bytes, reason: str) -> None:
    aged(acknowledge(share, payload))
    assert collected(share) == 1
    assert list((share / "ack").iterdir()) == []
    assert (share / "bad" / "answer.xml").read_bytes() == payload
    assert reason in (share / "bad" / "answer.xml.reason.txt").read_text()


@pytest.mark.django_db
def test_a_young_file_that_cannot_be_read_yet_is_left_where_it_is(share: Path) -> None:
    acknowledge(share, b"<ConfirmBOD")
    assert collected(share) == 0
    assert [p.name for p in (share / "ack").iterdir()] == ["answer.xml"]


@pytest.mark.django_db
def test_links_and_hidden_files_are_not_followed(share: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(confirm(KEY))
    (share / "ack" / "link.xml").symlink_to(secret)
    (share / "ack" / ".hidden.xml").write_bytes(confirm(KEY))
    os.mkfifo(share / "ack" / "pipe.xml")
    assert collected(share) == 0

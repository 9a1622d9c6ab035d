"""An MES that speaks B2MML: what it holds, how it answers, and the two ways to reach it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import SecretStr

from config.settings.environment import MesTarget
from mes_integration import b2mml_folders
from mes_integration.adapters.b2mml_files import Folders, folders_of
from mes_integration.adapters.b2mml_xml import read
from mes_integration.adapters.http_signing import signature
from mes_integration.inbound import Said
from mes_integration.targets import targets
from tests.mes_integration.b2mml import SCHEMAS, confirm, document, said, schemas
from tests.mes_integration.contract.http_server import HttpPeer, Reply, Request
from tests.mes_integration.contract.peer import TARGET, Effect, Peer, Received

POLLS_EVERY_S = 0.01
SECRET = "known-to-both"


@dataclass
class Plant:
    """What the MES has applied, in its order. It applies whatever it is sent, twice when twice."""

    effects: list[Effect] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, document: bytes) -> str:
        """Its BODID."""
        key = said(document, "ApplicationArea", "BODID")[0]
        with self.lock:
            self.received.append(Received(key, document))
        return key

    def apply(self, document: bytes) -> None:
        with self.lock:
            self.effects.append(effect_of(document))


def effect_of(document: bytes) -> Effect:
    """What a document says, as it is applied."""
    names = said(document, "PropertyMeasurement", "ID")
    values = said(document, "PropertyMeasurement", "Value", "ValueString")
    return Effect(
        key=said(document, "TestResult", "ID")[0],
        unit=said(document, "TestableObjectID")[0],
        verdict=said(document, "EvaluatedCriterionResult")[0],
        revision=int(values[names.index("Revision")]),
    )


def checked(body: bytes) -> None:
    """Held against the schemas where they are at hand."""
    root = read(body)
    if SCHEMAS:
        assert schemas().fault(root) == ""


def reference_of(key: str) -> str:
    """How the MES calls what it took."""
    return "TR-" + hashlib.sha256(key.encode()).hexdigest()[:8]


class FilePeer(Peer):
    """Fetches documents from a folder and puts acknowledgements into another, in a thread."""

    kind = "b2mml-files"
    cannot: ClassVar = {
        "a_wrong_secret_refuses_nothing_and_everything_goes_once_it_is_right": (
            "a folder has no secret"
        ),
        "reconciliation_finds_what_the_peer_has_lost": (
            "a folder tells what was acknowledged, not what the MES still has of it"
        ),
    }

    def __init__(self, base: Path) -> None:
        self.plant = Plant()
        self.base = base / "share"
        self._fetch: Callable[[Path], None] = self._apply
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: set[str] = set()
        self._owed: list[bytes] = []
        self._later: list[threading.Timer] = []
        # Held over one document, so that nobody changes the peer's mind in the middle of it.
        self._at_it = threading.Lock()

    def start(self) -> None:
        for name in ("out", "ack"):
            (self.base / name).mkdir(parents=True)
        self._run()

    def _run(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stop.wait(POLLS_EVERY_S):
            with contextlib.suppress(FileNotFoundError):
                found = [(p.stat().st_mtime_ns, p) for p in (self.base / "out").iterdir()]
                for _written, path in sorted(found):
                    assert path.name.endswith(".xml"), f"half a file is visible: {path.name}"
                    with self._at_it:
                        self._fetch(path)

    def _take(self, path: Path) -> bytes:
        """A file's document; noted once, however often it is looked at."""
        document = path.read_bytes()
        name = f"{path.name} {path.stat().st_mtime_ns}"
        if name not in self._seen:
            self._seen.add(name)
            self.plant.receive(document)
        return document

    def _answer(self, payload: bytes) -> None:
        name = hashlib.sha256(payload).hexdigest()[:16]
        writing = self.base / "ack" / f".{name}.tmp"
        writing.write_bytes(payload)
        writing.rename(self.base / "ack" / f"ack-{name}.xml")

    def _apply(self, path: Path) -> None:
        document = self._take(path)
        key = said(document, "ApplicationArea", "BODID")[0]
        self.plant.apply(document)
        path.unlink()
        self._answer(confirm(key, reference=reference_of(key)))

    def effects(self) -> list[Effect]:
        with self.plant.lock:
            return list(self.plant.effects)

    def received(self) -> list[Received]:
        with self.plant.lock:
            return list(self.plant.received)

    def check(self, body: bytes) -> None:
        checked(body)

    def stop(self) -> None:
        self._pause()
        shutil.rmtree(self.base, ignore_errors=True)

    def _pause(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def target(self) -> MesTarget:
        return MesTarget(
            name=TARGET,
            adapter="b2mml-files",
            url=str(self.base),
            secret=SecretStr(""),
            timeout_s=30,
            options={"look_after_s": 0.05},
        )

    def folders(self) -> Folders:
        """As the settings name them."""
        return folders_of(targets())[TARGET]

    def acknowledge(self, key: str, state: Said, *, reference: str = "", reason: str = "") -> None:
        self._answer(confirm(key, reference=reference or "R-1", reason=reason))
        b2mml_folders.acknowledgements(TARGET, self.folders(), lambda: datetime.now(UTC))

    def back(self) -> None:
        with self._at_it:
            self._fetch = self._apply
            for timer in self._later:
                timer.join()
            self._later.clear()
            for owed in self._owed:
                self._answer(owed)
            self._owed.clear()
            with contextlib.suppress(FileNotFoundError):
                (self.base / "out.gone").rename(self.base / "out")

    def away(self) -> None:
        """The share is not mounted."""
        (self.base / "out").rename(self.base / "out.gone")

    def slow(self, seconds: float) -> None:
        def fetch(path: Path) -> None:
            time.sleep(seconds)
            self._apply(path)

        self._fetch = fetch

    def hang(self) -> None:
        """It looks at the file and leaves it."""
        self._fetch = lambda path: [self._take(path)].clear()

    def busy(self) -> None:
        """It does not look."""
        self._fetch = lambda path: None

    def apply_late(self, seconds: float) -> None:
        def fetch(path: Path) -> None:
            document = self._take(path)
            path.unlink()
            timer = threading.Timer(seconds, self._apply_owing, [document])
            self._later.append(timer)
            timer.start()

        self._fetch = fetch

    def _apply_owing(self, document: bytes) -> None:
        key = said(document, "ApplicationArea", "BODID")[0]
        self.plant.apply(document)
        self._owed.append(confirm(key, reference=reference_of(key)))

    def lose_answers(self) -> None:
        """Its acknowledgements come once it is back."""

        def fetch(path: Path) -> None:
            document = self._take(path)
            path.unlink()
            self._apply_owing(document)

        self._fetch = fetch

    def without_reference(self) -> None:
        """Its acknowledgement does not say what it took."""

        def fetch(path: Path) -> None:
            document = self._take(path)
            path.unlink()
            self._apply_owing(document)
            self._answer(confirm(""))

        self._fetch = fetch

    def refuse(self, sentence: str) -> None:
        def fetch(path: Path) -> None:
            document = self._take(path)
            path.unlink()
            key = said(document, "ApplicationArea", "BODID")[0]
            self._answer(confirm(key, reason=sentence))

        self._fetch = fetch

    def restart(self) -> None:
        self._pause()
        self._run()


class HttpB2mmlPeer(HttpPeer):
    """Takes documents at one address, applies each it is sent, and answers Get with Show."""

    kind = "b2mml-http"
    cannot: ClassVar = {
        "the_same_message_delivered_twice_is_applied_once": (
            "it applies whatever comes; delivery asks it before it tells it again"
        )
    }

    def __init__(self) -> None:
        super().__init__()
        self._asked = threading.local()

    def target(self) -> MesTarget:
        return MesTarget(
            name=TARGET,
            adapter="b2mml-http",
            url=f"{self.url}/b2mml",
            secret=SecretStr(SECRET),
            timeout_s=30,
        )

    def check(self, body: bytes) -> None:
        checked(body)

    def let_in(self, request: Request) -> bool:
        given = request.headers.get("X-Loupe-Signature", "")
        at = int(given.partition(",")[0].removeprefix("t=") or 0)
        return abs(time.time() - at) < 300 and given == signature(SECRET, request.body, at=at)

    def key_of(self, request: Request) -> str | None:
        assert (request.method, request.path) == ("POST", "/b2mml")
        assert request.headers["Content-Type"].startswith("application/xml")
        if read(request.body).tag.endswith("GetTestResult"):
            return None
        self._asked.key = said(request.body, "ApplicationArea", "BODID")[0]
        return str(self._asked.key)

    def take(self, request: Request, *, named: bool) -> Reply:
        if self.key_of(request) is None:
            return self._show(said(request.body, "TestResult", "ID")[0])
        key = str(self._asked.key)
        self._effects.append(effect_of(request.body))
        return 200, confirm(key, reference=reference_of(key)) if named else confirm("")

    def _show(self, key: str) -> Reply:
        held = [effect for effect in self._effects if effect.key == key]
        if not held:
            return 200, confirm(f"get-{key}", reason="unknown", code="NotFound")
        nouns = "".join(
            f"<TestResult><ID>{effect.key}</ID><EvaluatedCriterionResult>{effect.verdict}"
            "</EvaluatedCriterionResult></TestResult>"
            for effect in held
        )
        return 200, document("ShowTestResult", f"<Show/>{nouns}", reference=reference_of(key))

    def refusal(self, sentence: str) -> Reply:
        return 200, confirm(str(self._asked.key), reason=sentence)

    def forget(self, key: str) -> None:
        with self._lock:
            self._effects = [effect for effect in self._effects if effect.key != key]

"""Which model is in force, who says so, and that the server sees a whole model at any moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from governance.access import Actor, system
from governance.models import AuditEntry
from governance.roles import Role
from retraining import deployments, registry, runs
from retraining.backends.local_serving import LocalServing
from retraining.backends.protocol import BackendUnavailable, Release, Service
from retraining.models import Deployment, RegisteredModel, TrainingRun
from tests import factories
from tests.retraining import plant
from traceability.gateways import object_store
from traceability.models import Site
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site() -> Site:
    return factories.site()


@pytest.fixture
def engineer(site: Site) -> Actor:
    return factories.actor(Role.QUALITY_ENGINEER, at=site)


def served(state: Path) -> str:
    """The version that the model server's folder holds now."""
    found: dict[str, str] = json.loads((state / "serving" / "model" / "model.json").read_text())
    return found["version"]


def states() -> dict[str, str]:
    rows = RegisteredModel.objects.values_list("model_version__version", "state")
    return {version: str(found) for version, found in rows}


def test_a_promotion_replaces_and_a_roll_back_brings_back(
    site: Site, engineer: Actor, now: datetime, state: Path
) -> None:
    models = [plant.model(site, version, at=now) for version in "123"]
    for model in models:
        deployments.promote(actor=engineer, model=model, reason="better", at=now)
        assert registry.in_force(site) == model
        assert served(state) == model.model_version.version
    assert states() == {"1": "RETIRED", "2": "RETIRED", "3": "IN_FORCE"}

    for version in "21":
        deployments.roll_back(actor=engineer, site=site, reason="complaint", at=now)
        assert served(state) == version
    assert states() == {"1": "IN_FORCE", "2": "RETIRED", "3": "RETIRED"}
    with pytest.raises(Conflict, match="no earlier model"):
        deployments.roll_back(actor=engineer, site=site, reason="complaint", at=now)

    kinds = list(Deployment.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["promotion"] * 3 + ["rollback"] * 2
    assert all(one.serving_since == now for one in Deployment.objects.all())
    entry = AuditEntry.objects.filter(action="model.rollback").latest("pk")
    assert (entry.actor, entry.reason) == (engineer.name, "complaint")
    assert entry.detail == {"model": "casting 1", "replaced": "casting 2"}


def test_a_site_without_a_model_has_nothing_to_roll_back(
    site: Site, engineer: Actor, now: datetime
) -> None:
    plant.model(site, "1", at=now)
    with pytest.raises(Conflict, match="no earlier model"):
        deployments.roll_back(actor=engineer, site=site, reason="complaint", at=now)


def test_a_refused_model_cannot_be_promoted(site: Site, engineer: Actor, now: datetime) -> None:
    refused = plant.model(site, "1", at=now, passed=False)
    with pytest.raises(Conflict, match="The gate refused casting 1"):
        deployments.promote(actor=engineer, model=refused, reason="please", at=now)
    assert states() == {"1": "REFUSED"}


def test_the_model_in_force_is_not_promoted_again(
    site: Site, engineer: Actor, now: datetime
) -> None:
    model = plant.model(site, "1", at=now)
    deployments.promote(actor=engineer, model=model, reason="first", at=now)
    with pytest.raises(Conflict, match="in force already"):
        deployments.promote(actor=engineer, model=model, reason="again", at=now)
    assert Deployment.objects.count() == 1


def test_a_model_that_was_compared_with_another_is_not_promoted(
    site: Site, engineer: Actor, now: datetime
) -> None:
    first = plant.model(site, "1", at=now)
    deployments.promote(actor=engineer, model=first, reason="first", at=now)
    run = plant.request(plant.dataset(site), now)
    TrainingRun.objects.filter(pk=run.pk).update(state="PASSED", champion=first)
    run.refresh_from_db()
    compared = plant.model(site, run.model_version, at=now, run=run)
    other = plant.model(site, "9", at=now)
    deployments.promote(actor=engineer, model=other, reason="urgent", at=now)
    with pytest.raises(Conflict, match="Retrain to compare"):
        deployments.promote(actor=engineer, model=compared, reason="late", at=now)
    deployments.roll_back(actor=engineer, site=site, reason="back to the first", at=now)
    deployments.promote(actor=engineer, model=compared, reason="now it fits", at=now)
    assert registry.in_force(site) == compared


@pytest.mark.parametrize("reason", ["", "   ", "x" * 301])
def test_a_reason_is_asked_for(site: Site, engineer: Actor, now: datetime, reason: str) -> None:
    model = plant.model(site, "1", at=now)
    with pytest.raises(Invalid):
        deployments.promote(actor=engineer, model=model, reason=reason, at=now)
    assert states() == {"1": "CANDIDATE"}


def test_only_who_may_promote_at_the_whole_site_does(site: Site, now: datetime) -> None:
    model = plant.model(site, "1", at=now)
    wrong: list[tuple[Actor, type[Exception]]] = [
        (factories.actor(Role.INSPECTOR, at=site), NotAllowed),
        (factories.actor(Role.LEAD, at=site), NotAllowed),
        (factories.actor(Role.MACHINE, at=site), NotAllowed),
        (factories.actor(Role.QUALITY_ENGINEER, at=factories.site("plant-2")), Unknown),
        (factories.actor(Role.QUALITY_ENGINEER, on=factories.line(site)), Unknown),
    ]
    for actor, refusal in wrong:
        with pytest.raises(refusal):
            deployments.promote(actor=actor, model=model, reason="mine", at=now)
        with pytest.raises(refusal):
            deployments.roll_back(actor=actor, site=site, reason="mine", at=now)
    assert Deployment.objects.count() == 0


def test_the_system_promotes_a_first_model_and_never_replaces_one(
    site: Site, now: datetime, state: Path
) -> None:
    seed = system("seed")
    first, second = plant.model(site, "1", at=now), plant.model(site, "2", at=now)
    deployments.promote(actor=seed, model=first, reason="set up", at=now)
    assert served(state) == "1"
    with pytest.raises(Conflict, match="Only a person"):
        deployments.promote(actor=seed, model=second, reason="set up", at=now)


def test_two_promotions_at_once_leave_one_model_in_force(
    site: Site, engineer: Actor, now: datetime, state: Path
) -> None:
    models = [plant.model(site, str(n), at=now) for n in range(1, 5)]
    together = threading.Barrier(len(models))

    def promote(model: RegisteredModel) -> None:
        together.wait()
        try:
            deployments.promote(actor=engineer, model=model, reason="mine", at=now)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(models)) as pool:
        list(pool.map(promote, models))
    assert sorted(states().values()) == ["IN_FORCE", "RETIRED", "RETIRED", "RETIRED"]
    last = Deployment.objects.latest("pk").model
    assert registry.in_force(site) == last
    runs.advance_all(at=now)
    assert served(state) == last.model_version.version


def test_the_server_never_sees_half_a_model(
    site: Site, engineer: Actor, now: datetime, state: Path
) -> None:
    models = [plant.model(site, version, at=now) for version in "12"]
    for model in models:
        deployments.promote(actor=engineer, model=model, reason="set up", at=now)
    done, wrong = threading.Event(), []

    def look() -> None:
        folder = state / "serving" / "model"
        while not done.is_set():
            real = folder.resolve()
            version = json.loads((real / "model.json").read_text())["version"]
            if (real / "weights.npz").read_bytes() != version.encode() * 100:
                wrong.append(version)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for turn in range(40):
            model = models[turn % 2]
            deployments.promote(actor=engineer, model=model, reason="turn", at=now)
    finally:
        done.set()
        watcher.join()
    assert wrong == []


def test_two_who_turn_the_link_at_once_do_not_take_it_from_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving, link = LocalServing(folder=tmp_path), tmp_path / "model"
    mine, other = (tmp_path / "models" / name for name in ("mine", "other"))
    for target in (mine, other):
        target.mkdir(parents=True)
    whole = Path.replace

    def last(draft: Path, to: Path) -> Path:
        """The other thread of this web server comes and is done before this one goes on."""
        monkeypatch.setattr(Path, "replace", whole)
        thread = threading.Thread(target=serving._turn, args=(link, other))
        thread.start()
        thread.join()
        assert link.resolve() == other
        return whole(draft, to)

    monkeypatch.setattr(Path, "replace", last)
    serving._turn(link, mine)
    assert link.resolve() == mine
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "models"]


def test_a_link_that_cannot_be_turned_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "models" / "mine"
    target.mkdir(parents=True)
    # Somebody has put a folder where the link belongs.
    (tmp_path / "model").mkdir()
    with pytest.raises(IsADirectoryError):
        LocalServing(folder=tmp_path)._turn(tmp_path / "model", target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "models"]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A server that does not answer, until it is called."""
    put = LocalServing.put

    def unreachable(_self: LocalServing, _release: Release) -> Service:
        raise BackendUnavailable("the disk is full")

    monkeypatch.setattr(LocalServing, "put", unreachable)
    return lambda: monkeypatch.setattr(LocalServing, "put", put)


def test_what_could_not_be_served_at_once_is_served_by_the_sweep(
    site: Site, engineer: Actor, now: datetime, state: Path, silent: Callable[[], None]
) -> None:
    model = plant.model(site, "1", at=now)
    deployment = deployments.promote(actor=engineer, model=model, reason="first", at=now)
    assert registry.in_force(site) == model
    assert deployment.serving_since is None
    silent()
    later = now + timedelta(seconds=2)
    runs.advance_all(at=later)
    deployment.refresh_from_db()
    assert deployment.serving_since == later
    assert served(state) == "1"


@contextmanager
def answering(port: int, version: Callable[[], str]) -> Iterator[int]:
    """A model server that says which model it answers for; its port."""

    class Ping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's own name
            self.send_response(200 if self.path == "/ping" else 404)
            self.send_header("X-Loupe-Model-Name", "casting")
            self.send_header("X-Loupe-Model-Version", version())
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Ping)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asks(settings: Any, port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    settings.LOUPE = settings.LOUPE.model_copy(update={"model_server_url": url})


def test_in_service_is_what_the_server_itself_says(
    site: Site, engineer: Actor, now: datetime, state: Path, settings: Any
) -> None:
    with answering(0, lambda: served(state)) as port:
        asks(settings, port)
        model = plant.model(site, "1", at=now)
        deployment = deployments.promote(actor=engineer, model=model, reason="first", at=now)
    assert deployment.serving_since == now
    assert deployment.failure == ""


def test_a_server_that_is_silent_or_answers_for_another_is_told_once_and_asked_again(
    site: Site, engineer: Actor, now: datetime, state: Path, settings: Any
) -> None:
    with answering(0, lambda: "") as port:
        asks(settings, port)
    model = plant.model(site, "1", at=now)
    deployment = deployments.promote(actor=engineer, model=model, reason="first", at=now)
    assert deployment.serving_since is None
    assert "does not answer" in deployment.failure
    runs.advance_all(at=now)
    with answering(port, lambda: "0"):
        runs.advance_all(at=now)
        runs.advance_all(at=now)
        deployment.refresh_from_db()
        assert deployment.serving_since is None
        assert "answers for casting 0" in deployment.failure
    later = now + timedelta(seconds=9)
    with answering(port, lambda: served(state)):
        runs.advance_all(at=later)
    deployment.refresh_from_db()
    assert [deployment.serving_since, deployment.failure] == [later, ""]
    told = AuditEntry.objects.filter(action__startswith="deployment.").order_by("pk")
    assert list(told.values_list("action", flat=True)) == [
        "deployment.hindered",
        "deployment.hindered",
        "deployment.in_service",
    ]


def test_a_state_folder_that_was_emptied_is_filled_again(
    site: Site, engineer: Actor, now: datetime, state: Path
) -> None:
    model = plant.model(site, "1", at=now)
    deployments.promote(actor=engineer, model=model, reason="first", at=now)
    (state / "serving" / "model").unlink()
    (state / "serving" / "models" / "casting-1" / "model.json").unlink()
    runs.advance_all(at=now)
    assert served(state) == "1"


def test_a_model_whose_files_are_gone_says_so_once(
    site: Site, engineer: Actor, now: datetime, state: Path
) -> None:
    model = plant.model(site, "1", at=now)
    for key in list(object_store.datasets().list(f"{model.artifact_prefix}/")):
        path = object_store.datasets().path(key)
        assert path is not None
        path.unlink()
    deployment = deployments.promote(actor=engineer, model=model, reason="first", at=now)
    runs.advance_all(at=now)
    deployment.refresh_from_db()
    assert "files of the model are gone" in deployment.failure
    assert deployment.serving_since is None
    assert AuditEntry.objects.filter(action="deployment.refused").count() == 1


def test_old_models_leave_the_disk_and_come_back_when_needed(
    site: Site, engineer: Actor, now: datetime, state: Path
) -> None:
    models = [plant.model(site, str(n), at=now) for n in range(1, 7)]
    for model in models:
        deployments.promote(actor=engineer, model=model, reason="better", at=now)
    assert len(list((state / "serving" / "models").iterdir())) <= 3
    deployments.promote(actor=engineer, model=models[0], reason="the first was best", at=now)
    assert served(state) == "1"


def test_the_next_version_is_one_above_all_there_are(site: Site, now: datetime) -> None:
    assert registry.next_version(site=site, name="casting") == "1"
    for version in ("2", "10", "beta"):
        factories.model_version(site, version)
    assert registry.next_version(site=site, name="casting") == "11"
    assert registry.next_version(site=factories.site("plant-2"), name="casting") == "1"


def test_a_model_without_files_is_not_registered(site: Site, state: Path) -> None:
    with pytest.raises(Invalid, match="no model files"):
        registry.digest(object_store.datasets(), "models/none/none/1")


def test_the_digest_tells_bytes_and_names_apart(site: Site, now: datetime) -> None:
    store = object_store.datasets()
    seals = set()
    for number, files in enumerate([{"a": b"1"}, {"a": b"2"}, {"b": b"1"}, {"a": b"1", "b": b""}]):
        for name, content in files.items():
            store.put(f"models/x/{number}/{name}", content)
        seals.add(registry.digest(store, f"models/x/{number}"))
    assert len(seals) == 4

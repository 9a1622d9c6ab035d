"""The whole story in a browser: message in, judged by keyboard, acknowledged, learned, promoted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from config.demo import pictures
from config.demo.plant import CONTAIN_FROM, LABELS_TO_RETRAIN, PASSWORD, REVIEW_FROM
from config.demo.source import STORY_SEED, Rings
from config.runner.ports import any_free
from tests.functional.snapshots import snap
from tests.functional.test_bench import past_a_bounce

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {code: str(number) for number, code in enumerate(Rings.classes, start=1)}
# A plant trains its first model before it is there, and others are at work on the same cores.
START_S = 500
# What the MES says of a unit once its verdict has arrived: the classes' default dispositions.
WORDS = {None: "RELEASED", "scratch": "REWORK", "pore": "SCRAPPED", "dent": "REWORK"}


@dataclass(frozen=True)
class Plant:
    """A running `make run`: where its web server, its MES and its model server answer."""

    web: str
    mes: str
    model: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """What `make run` starts, in a state folder of its own, with a faster line."""
    state = tmp_path_factory.mktemp("plant") / "var"
    told = ("DATABASE_URL", "LOUPE_AWS_ENDPOINT_URL", "DJANGO_SETTINGS_MODULE", "LOUPE_STATE")
    environment = {name: value for name, value in os.environ.items() if name not in told}
    environment |= {"LOUPE_STATE": str(state), "LOUPE_DEMO_PACE_S": "0.2"}
    port = any_free()
    command = [sys.executable, "-m", "config.runner", "up", "--demo", "--port", str(port)]
    log = state.parent / "runner.log"
    with log.open("w") as out:
        runner = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            wait_until(
                lambda: "Stop it with Ctrl-C" in log.read_text(), runner, log, seconds=START_S
            )
            ports = dict(
                re.findall(r"^\s+(mes|model)\s+ready\s+(\S+)$", log.read_text(), re.MULTILINE)
            )
            yield Plant(f"http://127.0.0.1:{port}", ports["mes"], ports["model"], environment)
        finally:
            runner.send_signal(signal.SIGINT)
            runner.wait(timeout=90)


def wait_until(
    is_so: Callable[[], bool], runner: subprocess.Popen[bytes], log: Path, *, seconds: float
) -> None:
    """Until it is so; a runner that has ended meanwhile says why."""
    until = time.monotonic() + seconds
    while not is_so():
        assert runner.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < until, log.read_text()[-3000:]
        time.sleep(0.2)  # the condition is another process's output


def sign_in(page: Page, plant: Plant, user: str) -> None:
    page.goto(f"{plant.web}/login/")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    expect(page).to_have_url(f"{plant.web}/")


def truth(serial: str) -> str | None:
    """The defect a person sees on this unit of the demo's story."""
    return pictures.unit(STORY_SEED, int(serial.removeprefix("SN-"))).defect


def press_until_gone(page: Page, keys: list[str], serial: str) -> None:
    """Press as a person does: again when nothing happens."""
    past_a_bounce(page)
    # Not so soon that the press is one on the next unit.
    for last in (False, True):
        for key in keys:
            page.keyboard.press(key)
        try:
            expect(page.locator("#serial")).not_to_have_text(
                serial, timeout=60_000 if last else 15_000
            )
        except AssertionError:
            if last:
                raise
        else:
            return


def judge(page: Page, count: int) -> dict[str, str]:
    """Judge by keyboard alone; serial -> what the MES shall hold in the end."""
    judged: dict[str, str] = {}
    while len(judged) < count:
        expect(page.locator("#accept")).to_be_enabled(timeout=60_000)
        serial = page.locator("#serial").inner_text()
        assert serial not in judged
        defect = truth(serial)
        keys = ["a"] if defect is None else [f"Shift+Digit{CLASSES[defect]}", "r", "r"]
        judged[serial] = WORDS[defect]
        press_until_gone(page, keys, serial)
    return judged


def held_by_the_mes(plant: Plant) -> dict[str, str]:
    """Serial -> state, as the MES holds it."""
    units = httpx.get(f"{plant.mes}/units.json", timeout=30).json()["units"]
    return {unit["serial"]: unit["state"] for unit in units}


def doubtful_share(plant: Plant, *, units: int = 60) -> tuple[str, float]:
    """Version in service, and the share of units far down the line that it would send to review."""
    doubtful, version = 0, ""
    with httpx.Client(timeout=30) as client:
        for unit in islice(pictures.story(STORY_SEED, first=50_000), units):
            image = unit.photograph().jpeg
            answer = client.post(
                f"{plant.model}/invocations", content=image, headers={"Content-Type": "image/jpeg"}
            )
            version = answer.headers["X-Loupe-Model-Version"]
            doubtful += REVIEW_FROM <= json.loads(answer.content)["score"] < CONTAIN_FROM
    return version, doubtful / units


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_loop_closes_in_front_of_the_user(plant: Plant, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    sign_in(page, plant, "engineer")
    expect(page.get_by_role("link", name="To the bench")).to_be_visible()
    before = doubtful_share(plant)
    assert before[0] == "1"

    page.goto(f"{plant.web}/review/")
    judged = judge(page, LABELS_TO_RETRAIN)

    wait_for(lambda: judged.items() <= held_by_the_mes(plant).items(), seconds=180)
    page.goto(plant.mes)
    expect(page.locator("[data-serial]").first).to_be_visible()
    last = next(reversed(judged))
    page.goto(f"{plant.web}/write-backs/?unit={last}")
    acknowledged = page.locator("table .state", has_text="Acknowledged")
    expect(acknowledged.first).to_be_visible(timeout=90_000)

    page.goto(f"{plant.web}/models/")
    promote = page.locator("form", has=page.locator("#promote-2"))
    expect(promote).to_be_visible(timeout=400_000)
    promote.locator("input[name=reason]").fill("Passed the gate")
    promote.get_by_role("button", name="Promote").click()
    expect(page.locator("#model-in-force")).to_contain_text("demo 2")

    wait_for(lambda: doubtful_share(plant, units=1)[0] == "2", seconds=90)
    after = doubtful_share(plant)
    assert after[1] < before[1], f"doubtful before {before}, after {after}"

    # The line stands still while its buffer is full: more verdicts let it go on.
    page.goto(f"{plant.web}/review/")
    judge(page, 6)
    page.goto(plant.web)
    newest = page.locator("#line-table tbody tr").first
    expect(newest.locator("td").nth(1)).to_have_text("2", timeout=60_000)
    assert "[X] 0001_initial" in managed(plant, "showmigrations", "review")
    snap(page, "home")
    take_pictures(page, plant, unit=last)
    context.close()


def managed(plant: Plant, *command: str) -> str:
    """What a management command for the running plant says."""
    run = [sys.executable, "-m", "config.runner", "manage", *command]
    done = subprocess.run(
        run, cwd=ROOT, env=plant.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def take_pictures(page: Page, plant: Plant, *, unit: str) -> None:
    """The rooms behind the bench, with what the story left in them."""
    page.goto(f"{plant.web}/write-backs/")
    snap(page, "write-backs")
    page.goto(f"{plant.web}/units/")
    snap(page, "units")
    page.goto(f"{plant.web}/units/{unit}/")
    snap(page, "unit")
    page.goto(f"{plant.web}/datasets/")
    snap(page, "datasets")
    page.goto(f"{plant.web}/models/")
    snap(page, "models")
    page.locator("main a[href*='/models/runs/']").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    snap(page, "gate")
    page.goto(f"{plant.web}/policies/")
    snap(page, "policies")
    page.goto(f"{plant.web}/dead-letters/")
    snap(page, "dead-letters")
    page.goto(f"{plant.web}/audit/")
    snap(page, "audit")
    page.goto(f"{plant.web}/review/mine/")
    snap(page, "mine")


def wait_for(is_so: Callable[[], bool], *, seconds: float) -> None:
    """Until it is so, or the test fails."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.3)  # asks another process again

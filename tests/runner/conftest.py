"""A runner in a process of its own, on a state folder of its own."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runner.waiting import living, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Plant:
    """A fake plant under the real supervisor."""

    process: subprocess.Popen[str]
    token: str
    state: Path
    said: Path

    def output(self) -> str:
        return self.said.read_text()

    def says(self, text: str, seconds: float = 90) -> bool:
        return wait_until(lambda: text in self.output(), seconds)

    def children(self, word: str = "") -> list[int]:
        """Everything it started and what that started, but not itself; `word` is a service."""
        lines = living(f"{self.token} {word}" if word else self.token)
        return [pid for pid in lines if pid != self.process.pid]

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(90)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def environment(state: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOUPE_")}
    kept.pop("DATABASE_URL", None)
    return kept | {"LOUPE_STATE": str(state)}


@pytest.fixture
def fake_plant(
    state: Path, environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[str], Plant]]:
    """Starts a scenario; whatever a test leaves running is killed."""
    started: list[Plant] = []

    def start(scenario: str) -> Plant:
        token = uuid.uuid4().hex
        said = tmp_path / f"said-{token}"
        with said.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.runner.fake_plant", token, scenario],
                cwd=REPOSITORY,
                env=environment,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        started.append(Plant(process, token, state, said))
        return started[-1]

    yield start
    for plant in started:
        plant.process.kill()
        plant.process.wait()
        for pid in plant.children():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def runner(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python -m config.runner` with these arguments, until it ends."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "config.runner", *arguments],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run

"""What a person meets at the terminal when something is in the way."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.conftest import Plant

Run = Callable[..., subprocess.CompletedProcess[str]]
StartPlant = Callable[[str], Plant]


def test_a_second_start_names_the_first_and_how_to_stop_it(
    fake_plant: StartPlant, runner: Run
) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    second = runner("up", "--demo")
    assert second.returncode == 1
    assert f"Loupe already runs (process {plant.process.pid}) at http://127.0.0.1:1." in (
        second.stderr
    )
    assert f"kill {plant.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_management_command_asks_for_a_plant_that_runs(runner: Run) -> None:
    refused = runner("manage", "check")
    assert refused.returncode == 1
    assert "Loupe is not running. Start it with: make run" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_lock_of_a_killed_runner_is_free_again(fake_plant: StartPlant) -> None:
    first = fake_plant("plain")
    assert first.says("all is up")
    first.process.kill()
    first.process.wait()
    second = fake_plant("plain")
    assert second.says("all is up")


def test_a_taken_port_names_its_holder_and_a_free_one(runner: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = runner("up", "--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port} is taken by process {os.getpid()}" in refused.stderr
    assert "make run PORT=" in refused.stderr


@pytest.mark.parametrize("folder", ["/proc/loupe", "{file}/var"])
def test_a_state_folder_that_cannot_be_written_is_named(
    folder: str, environment: dict[str, str], tmp_path: Path, runner: Run
) -> None:
    file = tmp_path / "file"
    file.touch()
    environment["LOUPE_STATE"] = folder.format(file=file)
    refused = runner("up")
    assert refused.returncode == 1
    assert f"cannot write to its state folder {environment['LOUPE_STATE']}" in refused.stderr
    assert "LOUPE_STATE=" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_images_that_are_not_there_are_named_before_anything_starts(
    runner: Run, state: Path
) -> None:
    refused = runner("up", "--images", "no/such/folder", "--port", "0")
    assert refused.returncode == 1
    assert "no/such/folder is not a folder" in refused.stderr
    assert not (state / "postgres").exists()


def test_a_folder_with_somebodys_files_is_neither_used_nor_emptied(
    runner: Run, state: Path
) -> None:
    state.mkdir()
    (state / "thesis.txt").write_text("ten years")
    for command in ("up", "reset"):
        refused = runner(command)
        assert refused.returncode == 1
        assert "holds files that are not Loupe's" in refused.stderr
    assert (state / "thesis.txt").exists()


def test_reset_is_refused_while_it_runs_and_empties_the_folder_afterwards(
    fake_plant: StartPlant, runner: Run, state: Path
) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    refused = runner("reset")
    assert refused.returncode == 1
    assert "already runs" in refused.stderr
    assert plant.stop() == 0
    assert runner("reset").returncode == 0
    assert list(state.iterdir()) == []


def test_status_shows_a_line_for_each_service(fake_plant: StartPlant, runner: Run) -> None:
    assert "make run" in runner("status").stdout
    plant = fake_plant("plain")
    assert plant.says("all is up")
    shown = runner("status")
    assert shown.returncode == 0
    assert f"process {plant.process.pid}" in shown.stdout
    assert [line.split() for line in shown.stdout.splitlines()][1:] == [
        ["camera", "ready"],
        ["press", "ready"],
    ]

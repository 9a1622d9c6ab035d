"""Starting in order, keeping up, going down - with real processes."""

import os
import shutil
import signal
import time
from collections.abc import Callable

from tests.runner.conftest import Plant
from tests.runner.waiting import living, wait_until

StartPlant = Callable[[str], Plant]


def test_everything_comes_up_in_order_with_a_line_of_health_each(fake_plant: StartPlant) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    output = plant.output()
    assert output.index("counting ...") < output.index("starting camera ...")
    assert "[3/3]" in output
    lines = [line.split() for line in output.splitlines()]
    assert ["camera", "ready"] in lines
    assert ["press", "ready"] in lines


def test_an_interrupt_stops_everything_with_its_grandchildren(fake_plant: StartPlant) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    assert len(plant.children("press grandchild")) == 1
    assert plant.stop() == 0
    # Nobody's patience had to run out.
    assert "was killed" not in plant.output()
    assert plant.children() == []
    assert "Everything is stopped." in plant.output()


def test_nobody_is_stopped_while_somebody_who_needs_it_still_runs(fake_plant: StartPlant) -> None:
    plant = fake_plant("needy")
    assert plant.says("all is up")
    os.killpg(plant.process.pid, signal.SIGINT)
    assert plant.process.wait(90) == 0
    assert (plant.state / "gone").exists()
    assert not (plant.state / "bereft").exists()
    assert "was killed" not in plant.output()
    assert plant.children() == []


def test_who_does_not_listen_is_killed_in_time(fake_plant: StartPlant) -> None:
    plant = fake_plant("hurried")
    assert plant.says("all is up")
    began = time.monotonic()
    assert plant.stop(signal.SIGTERM) == 0
    # A second and a half is his own patience; without one it would be ten minutes.
    assert 1 < time.monotonic() - began < 60
    assert plant.children() == []
    assert "deaf did not stop in time and was killed" in plant.output()


def test_a_second_interrupt_ends_the_patience(fake_plant: StartPlant) -> None:
    plant = fake_plant("deaf")
    assert plant.says("all is up")
    began = time.monotonic()
    plant.process.send_signal(signal.SIGINT)
    assert plant.says("Stopping ...")
    assert plant.stop() == 0
    # The patience itself is ten minutes here.
    assert time.monotonic() - began < 60
    assert plant.children() == []


def test_a_killed_runner_leaves_no_orphan(fake_plant: StartPlant) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    assert plant.children("press grandchild")
    plant.process.kill()
    assert wait_until(lambda: plant.children() == [])


def test_a_killed_runner_leaves_no_orphan_even_of_the_deaf(fake_plant: StartPlant) -> None:
    plant = fake_plant("deaf")
    assert plant.says("all is up")
    plant.process.kill()
    assert wait_until(lambda: plant.children() == [])


def test_a_killed_runner_takes_its_database_along(fake_plant: StartPlant) -> None:
    plant = fake_plant("database")
    assert plant.says("all is up")
    cluster = str(plant.state / "postgres" / "cluster")
    assert living(cluster)
    plant.process.kill()
    assert wait_until(lambda: plant.children() == [] and not living(cluster))
    assert not (plant.state / "postgres" / "cluster" / "postmaster.pid").exists()


def test_a_first_start_killed_half_way_is_completed_by_the_next_one(
    fake_plant: StartPlant,
) -> None:
    while not is_killed_half_way(fake_plant("database")):
        # Whoever looked too late has killed a finished start: once more, from the beginning.
        pass
    second = fake_plant("database")
    assert second.says("all is up")
    assert second.stop() == 0


def is_killed_half_way(plant: Plant) -> bool:
    """Whether it was killed while it made its database; else nothing is left of it."""
    folder = plant.state / "postgres"
    assert wait_until(lambda: list(folder.glob("cluster*")))
    plant.process.kill()
    plant.process.wait()
    if not (folder / "cluster").exists():
        return True
    assert wait_until(lambda: not living(str(folder / "cluster")))
    shutil.rmtree(folder)
    return False


def test_a_killed_database_comes_back_at_the_same_address(fake_plant: StartPlant) -> None:
    plant = fake_plant("database")
    assert plant.says("all is up")
    folder = plant.state / "postgres"
    address = (folder / "port").read_text()
    first = int((folder / "cluster" / "postmaster.pid").read_text().split()[0])
    os.kill(first, signal.SIGKILL)
    assert plant.says("postgres is ready again")
    assert (folder / "port").read_text() == address
    assert plant.stop() == 0


def test_what_crashes_is_started_again_and_said_so(fake_plant: StartPlant) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    (old,) = plant.children("camera")
    os.kill(old, signal.SIGKILL)
    assert plant.says("camera is ready again")
    assert "camera stopped (killed by SIGKILL); starting it again in 0.5 s" in plant.output()
    (new,) = plant.children("camera")
    assert new != old
    assert plant.stop() == 0


def test_children_of_a_crashed_process_do_not_live_on_beside_the_new_ones(
    fake_plant: StartPlant,
) -> None:
    plant = fake_plant("plain")
    assert plant.says("all is up")
    grandchildren = plant.children("press grandchild")
    (leader,) = set(plant.children("press")) - set(grandchildren)
    os.kill(leader, signal.SIGKILL)
    assert plant.says("press is ready again")
    assert wait_until(lambda: len(plant.children("press grandchild")) == 1)
    assert plant.children("press grandchild") != grandchildren


def test_what_a_forgetful_service_needs_is_done_again_after_its_crash(
    fake_plant: StartPlant,
) -> None:
    plant = fake_plant("forgetful")
    assert plant.says("all is up")
    (memory,) = plant.children("memory")
    os.kill(memory, signal.SIGKILL)
    assert wait_until(lambda: (plant.state / "counted").read_text() == "xx")


def test_repeated_crashes_are_given_up_with_one_sentence_and_the_log(
    fake_plant: StartPlant,
) -> None:
    plant = fake_plant("crashing")
    assert plant.process.wait(120) == 1
    output = plant.output()
    assert "broken stopped 5 times within a minute (last: exit code 3)" in output
    assert str(plant.state / "log" / "broken.log") in output
    assert "out of film" in output
    assert plant.children() == []


def test_a_failed_step_stops_everything_and_shows_its_last_lines(fake_plant: StartPlant) -> None:
    plant = fake_plant("failing")
    assert plant.process.wait(90) == 1
    assert "Failed while loading film (exit code 3)" in plant.output()
    assert "out of film" in plant.output()
    assert plant.children() == []


def test_who_is_never_ready_is_named(fake_plant: StartPlant) -> None:
    plant = fake_plant("silent")
    assert plant.process.wait(90) == 1
    assert "silent was not ready within 1 s." in plant.output()
    assert plant.children() == []

"""`python -m config.runner up | status | reset`."""

import argparse
import json
import os
import sys
from pathlib import Path

from config.runner import layout as state
from config.runner import lock, plant, ports
from config.runner.failures import CannotStart
from config.runner.layout import Layout
from config.runner.processes import holder_of_port
from config.runner.progress import Progress
from config.runner.supervisor import health_lines, supervise


def up(choice: plant.Choice) -> int:
    layout = state.chosen()
    state.make(layout)
    address = plant.address(choice.port)
    with lock.held(layout.lock, lock.Holder(pid=os.getpid(), address=address)):
        refuse_taken_port(choice.port)
        refuse_missing_images(choice)
        state.rotate_logs(layout)
        (layout.root / "beat").mkdir(exist_ok=True)
        brought = plant.peers(choice, layout)
        steps = plant.steps(choice, layout, brought)
        shared = plant.environment(choice, layout, brought)
        progress = Progress(sys.stdout, len(steps))
        return supervise(steps, layout, shared, progress, lambda: greeting(choice, layout, address))


def greeting(choice: plant.Choice, layout: Layout, address: str) -> list[str]:
    lines = ["", f"Loupe is running: {address}"]
    if choice.demo and layout.logins.exists():
        lines += ["", *layout.logins.read_text().splitlines()]
    return [*lines, "", "Stop it with Ctrl-C."]


def refuse_taken_port(port: int) -> None:
    if ports.is_free(port):
        return
    other = next(p for p in range(port + 1, port + 1000) if ports.is_free(p))
    raise CannotStart(
        f"Port {port} is taken by {holder_of_port(port)}. Stop it, or choose another port: "
        f"make run PORT={other}"
    )


def refuse_missing_images(choice: plant.Choice) -> None:
    if choice.images is not None and not choice.images.is_dir():
        raise CannotStart(
            f"{choice.images} is not a folder. IMAGES takes a folder with good/ and one folder "
            "for each kind of defect, or with an index.csv."
        )


def status() -> int:
    layout = state.chosen()
    holder = lock.who_runs(layout.lock)
    if holder is None:
        print("Loupe is not running. Start it with: make run")
        return 1
    print(f"Loupe runs (process {holder.pid}) at {holder.address}")
    health = json.loads(layout.health.read_text()) if layout.health.exists() else []
    for line in health_lines(health):
        print(line)
    return 0


def reset() -> int:
    layout = state.chosen()
    holder = lock.who_runs(layout.lock)
    if holder is not None:
        raise CannotStart(f"{lock.already_runs(holder)} Then run `make reset` again.")
    state.empty(layout)
    print(f"{layout.root} is empty.")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything and keep it running")
    start.add_argument("--demo", action="store_true", help="with a demo plant, its line and MES")
    start.add_argument("--images", type=Path, help="your own images instead of drawn ones")
    start.add_argument("--port", type=int, default=8000, help="port of the web server")
    commands.add_parser("status", help="what runs, and how it is")
    commands.add_parser("reset", help="delete everything in the state folder")
    asked = parser.parse_args()
    try:
        match asked.command:
            case "up":
                images = asked.images.absolute() if asked.images else None
                return up(plant.Choice(port=asked.port, demo=asked.demo, images=images))
            case "status":
                return status()
            case _:
                return reset()
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m config.runner up | tablets | status | manage | reset`."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from config.runner import layout as state
from config.runner import lock, plant, ports
from config.runner.failures import CannotStart
from config.runner.language import in_language as _
from config.runner.layout import Layout
from config.runner.processes import holder_of_port
from config.runner.progress import Progress
from config.runner.supervisor import health_lines, supervise
from config.runner.tablets import Wish, open_to_tablets


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
    lines = ["", _("Loupe is running: %(address)s") % {"address": address}]
    if choice.demo and layout.logins.exists():
        lines += ["", *layout.logins.read_text().splitlines()]
    return [*lines, "", _("Stop it with Ctrl-C.")]


def refuse_taken_port(port: int) -> None:
    if ports.is_free(port):
        return
    other = next(p for p in range(port + 1, port + 1000) if ports.is_free(p))
    raise CannotStart(
        _(
            "Port %(port)d is taken by %(holder)s. Stop it, or choose another port: "
            "make run PORT=%(other)d"
        )
        % {"port": port, "holder": holder_of_port(port), "other": other}
    )


def refuse_missing_images(choice: plant.Choice) -> None:
    if choice.images is not None and not choice.images.is_dir():
        raise CannotStart(
            _(
                "%(images)s is not a folder. IMAGES takes a folder with good/ and one folder for "
                "each kind of defect, or with an index.csv."
            )
            % {"images": choice.images}
        )


def status() -> int:
    layout = state.chosen()
    holder = lock.who_runs(layout.lock)
    if holder is None:
        print(lock.nobody_runs())
        return 1
    said = _("Loupe runs (process %(pid)d) at %(address)s")
    print(said % {"pid": holder.pid, "address": holder.address})
    health = json.loads(layout.health.read_text()) if layout.health.exists() else []
    for line in health_lines(health):
        print(line)
    return 0


def reset() -> int:
    layout = state.chosen()
    holder = lock.who_runs(layout.lock)
    if holder is not None:
        again = _("Then run `make reset` again.")
        raise CannotStart(f"{lock.already_runs(holder)} {again}")
    state.empty(layout)
    print(_("%(folder)s is empty.") % {"folder": layout.root})
    return 0


def manage(arguments: list[str]) -> int:
    """A management command for what runs here; its exit code."""
    layout = state.chosen()
    holder = lock.who_runs(layout.lock)
    if holder is None:
        raise CannotStart(lock.nobody_runs())
    environment = plant.environment_beside(holder.address, layout)
    command = [sys.executable, str(state.REPOSITORY / "manage.py"), *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything and keep it running")
    start.add_argument("--demo", action="store_true", help="with a demo plant, its line and MES")
    start.add_argument("--images", type=Path, help="your own images instead of drawn ones")
    start.add_argument("--port", type=int, default=8000, help="port of the web server")
    tablet = commands.add_parser("tablets", help="open what runs to tablets, with TLS")
    tablet.add_argument("--port", type=int, default=8443, help="port of the web server with TLS")
    tablet.add_argument("--host", default="", help="name or address tablets open it under")
    tablet.add_argument("--certificate", type=Path, help="the plant's certificate, in PEM form")
    tablet.add_argument("--key", type=Path, help="its private key")
    commands.add_parser("status", help="what runs, and how it is")
    one = commands.add_parser("manage", help="a management command for what runs", add_help=False)
    one.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("reset", help="delete everything in the state folder")
    asked = parser.parse_args()
    try:
        match asked.command:
            case "up":
                images = asked.images.absolute() if asked.images else None
                return up(plant.Choice(port=asked.port, demo=asked.demo, images=images))
            case "tablets":
                wish = Wish(asked.port, asked.host, asked.certificate, asked.key)
                return open_to_tablets(wish)
            case "status":
                return status()
            case "manage":
                return manage(asked.arguments)
            case _:
                return reset()
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

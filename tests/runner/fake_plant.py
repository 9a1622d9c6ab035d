"""Runs a made-up process table under the real supervisor: `fake_plant.py TOKEN SCENARIO`.

Every child carries the token in its command line, so that a test finds it and its children.
"""

import os
import sys
from dataclasses import replace

from config.runner import layout as state
from config.runner import lock
from config.runner.plant import PYTHON
from config.runner.progress import Progress
from config.runner.readiness import LogLine, StaysUp
from config.runner.supervisor import supervise
from config.runner.table import Database, Service, Step, Task

SLEEP = "import sys, time; print('awake', flush=True); time.sleep(600)"
FAMILY = (
    "import subprocess, sys, time;"
    f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}, *sys.argv[1:], 'grandchild']);"
    "print('awake', flush=True); time.sleep(600)"
)
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
# Says on being stopped that it is gone; who reads of it notes whether it was still there.
QUEUE = (
    "import pathlib, signal, sys, time; gone = pathlib.Path(sys.argv[-1]);"
    "signal.signal(signal.SIGTERM, lambda *_: (gone.touch(), sys.exit()));"
    "print('awake', flush=True); time.sleep(600)"
)
READER = (
    "import pathlib, signal, sys, time; gone = pathlib.Path(sys.argv[-1]);"
    "end = lambda *_: (time.sleep(1), gone.exists() and (gone.parent / 'bereft').touch(),"
    " sys.exit());"
    "signal.signal(signal.SIGTERM, end); print('awake', flush=True); time.sleep(600)"
)
SHORT_LIVED = "print('awake', flush=True); print('out of film'); raise SystemExit(3)"
COUNT = "import sys, pathlib; p = pathlib.Path(sys.argv[-1]); p.open('a').write('x')"

TOKEN, SCENARIO = sys.argv[1:]


def python(code: str, *more: str) -> tuple[str, ...]:
    return (PYTHON, "-c", code, TOKEN, *more)


def service(name: str, code: str, *, needs: tuple[str, ...] = (), repeat: str = "") -> Service:
    arguments = python(code, name)
    starting = f"starting {name}"
    # So long that no slow machine is taken for somebody who does not listen.
    return Service(
        name, starting, arguments, LogLine("awake"), needs, stop_seconds=600, repeat=repeat
    )


def table(layout: state.Layout) -> list[Step]:
    first = Task("count", "counting", python(COUNT, str(layout.root / "counted")))
    bad = Task("bad", "loading film", python(SHORT_LIVED), needs=("camera",))
    dumb = Service("silent", "starting silent", python(SLEEP), StaysUp(99), ready_seconds=1)
    hurried = replace(service("deaf", DEAF), stop_seconds=1.5)
    gone = str(layout.root / "gone")
    queue = replace(service("queue", QUEUE), arguments=python(QUEUE, "queue", gone))
    fill = Task("fill", "filling the queue", python("pass"), needs=("queue",))
    reader = service("reader", READER, needs=("fill",))
    reader = replace(reader, arguments=python(READER, "reader", gone))
    scenarios: dict[str, list[Step]] = {
        "plain": [first, service("camera", SLEEP, needs=("count",)), service("press", FAMILY)],
        "needy": [queue, fill, reader],
        "deaf": [service("camera", SLEEP), service("deaf", DEAF)],
        "hurried": [service("camera", SLEEP), hurried],
        "crashing": [service("camera", SLEEP), service("broken", SHORT_LIVED)],
        "failing": [service("camera", SLEEP), bad],
        "forgetful": [first, service("memory", SLEEP, repeat="count")],
        "silent": [dumb],
        "database": [Database(durable=False), service("camera", SLEEP, needs=("postgres",))],
    }
    return scenarios[SCENARIO]


def main() -> int:
    layout = state.chosen()
    state.make(layout)
    holder = lock.Holder(pid=os.getpid(), address="http://127.0.0.1:1")
    with lock.held(layout.lock, holder):
        steps = table(layout)
        progress = Progress(sys.stdout, len(steps))
        return supervise(steps, layout, dict(os.environ), progress, lambda: ["all is up"])


if __name__ == "__main__":
    sys.exit(main())

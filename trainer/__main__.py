"""`python -m trainer train` and `python -m trainer serve`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from trainer.layout import Layout

# Two processes share the work, so that no library may start threads of its own. It has to be
# said before the first of them is loaded, which is why the commands are imported by name below.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train", help="train a model on the input channels")
    serve = commands.add_parser("serve", help="answer /ping and /invocations")
    serve.add_argument("--port", type=int, default=None, help="default: 8080")
    given = parser.parse_args(arguments)
    layout = Layout.from_environment()
    if given.command == "train":
        return int(importlib.import_module("trainer.train_command").run_train(layout))
    return int(importlib.import_module("trainer.serve_command").run_serve(layout, given.port))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

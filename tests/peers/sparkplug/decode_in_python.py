"""Run by the environment pysparkplug is installed in: one JSON line in, one out."""

from __future__ import annotations

import base64
import importlib
import json
import sys
from typing import Any

pysparkplug: Any = importlib.import_module("pysparkplug")

KINDS = {
    "NBIRTH": pysparkplug.NBirth,
    "DBIRTH": pysparkplug.DBirth,
    "NDATA": pysparkplug.NData,
    "DDATA": pysparkplug.DData,
    "NDEATH": pysparkplug.NDeath,
}

for line in sys.stdin:
    given = json.loads(line)
    found = KINDS[given["kind"]].decode(base64.b64decode(given["payload"]))
    if given["kind"] == "NDEATH":
        said = {"seq": None, "metrics": {"bdSeq": found.bd_seq_metric.value}}
    else:
        said = {"seq": found.seq, "metrics": {m.name: m.value for m in found.metrics}}
    print(json.dumps(said), flush=True)

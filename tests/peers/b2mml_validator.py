"""Runs where xmlschema is installed: says of each XML file in a folder what is wrong with it."""

import json
import sys
from pathlib import Path

import xmlschema  # type: ignore[import-not-found]  # in an environment of its own

schema = xmlschema.XMLSchema11(str(Path(sys.argv[1]) / "AllSchemas.xsd"))
said: dict[str, str] = {}
for path in sorted(Path(sys.argv[2]).glob("*.xml")):
    error = next(schema.iter_errors(str(path)), None)
    said[path.name] = "" if error is None else str(error.reason)
print(json.dumps(said))

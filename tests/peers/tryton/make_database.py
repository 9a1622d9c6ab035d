"""Make a Tryton database with the quality module, run by Tryton's own Python.

    make_database.py FOLDER KEY

Writes trytond.conf and plant.sqlite into FOLDER, and prints the numbers Loupe needs as JSON.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from trytond import config
from trytond.pool import Pool
from trytond.transaction import Transaction

DATABASE = "plant"


def main(folder: Path, key: str) -> None:
    """Everything, from nothing."""
    settings = folder / "trytond.conf"
    settings.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n")
    admin = [str(Path(sys.executable).with_name("trytond-admin")), "-c", str(settings)]
    (folder / f"{DATABASE}.sqlite").touch()
    password = folder / "password"
    password.write_text("not-used-over-rest")
    environment = os.environ | {"TRYTONPASSFILE": str(password)}
    made = [
        *admin,
        "-d",
        DATABASE,
        "-u",
        "quality",
        "--activate-dependencies",
        "--email",
        "admin@plant.example",
    ]
    subprocess.run(made, check=True, env=environment, stdout=sys.stderr)
    config.update_etc(str(settings))
    pool = Pool(DATABASE)
    pool.init()
    with Transaction().start(DATABASE, 0):
        print(json.dumps(fill(key)))


def fill(key: str) -> dict[str, int]:
    """A company, a control with one boolean point, and the key Loupe shows."""
    pool = Pool()
    currency = made(pool.get("currency.currency"), name="Euro", code="EUR", symbol="€")
    party = made(pool.get("party.party"), name="Plant")
    company = made(pool.get("company.company"), party=party, currency=currency)
    point = {"name": "loupe", "string": "Loupe", "type_": "boolean"}
    control = made(
        pool.get("quality.control"),
        name="Visual inspection",
        frequency=1,
        company=company,
        points=[("create", [point])],
    )
    user = pool.get("res.user").search([("login", "=", "admin")])[0]
    pool.get("res.user").write([user], {"companies": [("add", [company])], "company": company})
    made(
        pool.get("res.user.application"),
        user=user.id,
        key=key,
        application="rest",
        state="validated",
    )
    return {"company": company, "control": control}


def made(model: Any, **values: Any) -> int:
    """The number of a new record."""
    return model.create([values])[0].id


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

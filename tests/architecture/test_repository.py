"""What must never lie in the repository, and what must lie there in step."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]

SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "an access token": re.compile(r"\b(?:ghp|gho|glpat|xox[abp])[-_][0-9A-Za-z-]{20,}"),
}
# A word for a secret, then a quoted value with letters and digits and without blanks or holes.
PASSWORD = re.compile(
    r"(?i)(?:password|passwd|secret|token|api_?key)\w*[\"']?\s*[=:]\s*"
    r"[\"'](?=[^\"']*\d)(?=[^\"']*[a-z])[^\"'\s{}<>$%/.]{10,}[\"']"
)
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:home|Users|root|work)/[\w.-]+|[A-Z]:\\\\?Users\\")
LISTS = ["requirements", "requirements-adapters", "requirements-dev", "requirements-node"]
GENERATED = {*(f"{name}.txt" for name in LISTS), "package-lock.json"}


@cache
def texts() -> dict[str, str]:
    """Every text file git keeps or would keep."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found: dict[str, str] = {}
    for name in listing.split("\0"):
        path = REPOSITORY / name
        if not name or not path.is_file():
            continue
        raw = path.read_bytes()
        if b"\0" not in raw:
            found[name] = raw.decode(errors="replace")
    return found


def hits(pattern: re.Pattern[str], *, without: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        if name not in GENERATED and not name.startswith(without)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("kind", SECRETS)
def test_no_file_holds(kind: str) -> None:
    assert hits(SECRETS[kind]) == []


def test_no_file_holds_a_password() -> None:
    assert hits(PASSWORD, without=("tests/",)) == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    assert hits(MACHINE_PATH) == []


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("-----BEGIN RSA " + "PRIVATE KEY-----", SECRETS["a private key"]),
        ("key = AKIA" + "ABCDEFGHIJKLMNOP", SECRETS["an AWS access key"]),
        ("ghp_" + "0123456789abcdefghijKLMN", SECRETS["an access token"]),
        ("DB_PASSWORD = 'correct1horse" + "2battery'", PASSWORD),
        ("open('/ho" + "me/mary/parts.csv')", MACHINE_PATH),
    ],
)
def test_the_scan_sees_what_it_is_for(line: str, pattern: re.Pattern[str]) -> None:
    assert pattern.search(line)


def test_state_and_environment_are_not_kept() -> None:
    kept = [name for name in texts() if name.startswith((".venv/", "var/")) or name == ".env"]
    assert kept == []


# --- dependencies ---


def pinned(name: str) -> dict[str, str]:
    """Package to version, as locked; a package may stand there once for each platform."""
    blocks = re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n", "", texts()[name]).strip())
    versions: dict[str, str] = {}
    for block in blocks:
        found = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", block)
        assert found, f"{name}: not pinned: {block.splitlines()[0]}"
        assert "--hash=sha256:" in block, f"{name}: no hash: {found[1]}"
        versions[canonicalize_name(found[1])] = found[2]
    return versions


def asked(name: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in texts()[name].splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("name", LISTS)
def test_every_dependency_is_locked_as_it_is_asked_for(name: str) -> None:
    locked = pinned(f"{name}.txt")
    for requirement in asked(f"{name}.in"):
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not locked; run make lock"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement} is asked for, {version} is locked; run make lock"
        )


@pytest.mark.parametrize("name", LISTS)
def test_nothing_is_locked_that_nobody_asks_for_any_more(name: str) -> None:
    noted = re.findall(
        rf"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==(?:[^\n]*\n)(?:    --hash[^\n]*\n)*"
        rf"    # via(?:\n    #   [^\n]*)*?(?: |\n    #   )-r {name}\.in",
        texts()[f"{name}.txt"],
    )
    names = {canonicalize_name(requirement.name) for requirement in asked(f"{name}.in")}
    assert noted
    assert {canonicalize_name(package) for package in noted} <= names


def test_tests_run_on_the_versions_that_are_delivered() -> None:
    delivered, tested = pinned("requirements.txt"), pinned("requirements-dev.txt")
    assert {name: tested.get(name) for name in delivered} == delivered


def test_no_list_names_a_source_of_its_own() -> None:
    for name in LISTS:
        assert "index-url" not in texts()[f"{name}.txt"]
        assert "://" not in texts()[f"{name}.txt"]


def test_every_package_of_the_page_scripts_is_locked_with_its_hash() -> None:
    asked_for = json.loads(texts()["package.json"])
    locked = json.loads(texts()["package-lock.json"])["packages"]
    for name, version in (asked_for["dependencies"] | asked_for["devDependencies"]).items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert [name for name, each in locked.items() if name and "integrity" not in each] == []
    assert [name for name, each in locked.items() if "resolved" in each] == []


def test_no_bundle_of_others_lies_in_the_repository() -> None:
    kept = [name for name in texts() if name.startswith(("node_modules/", "static/built/"))]
    assert kept == []
    assert [name for name in texts() if name.endswith((".min.js", ".min.css"))] == []

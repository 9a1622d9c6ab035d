"""A plant opened to tablets: real TLS, a first page that gives out nothing else, a clean end."""

import base64
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserType, Error, Page

from config.runner import layout as layouts
from config.runner import lock, ports
from config.runner.certificates import fingerprint
from config.runner.layout import Layout
from config.runner.tablets import EVERYWHERE, free_pair
from tests.runner.conftest import REPOSITORY
from tests.runner.test_tls import plants
from tests.runner.waiting import living, wait_until

HOST = "localhost"
PLANT_NAME = "loupe.plant.example"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def with_database(environment: dict[str, str]) -> dict[str, str]:
    """The tests' own PostgreSQL stands for the plant's."""
    return environment | {"DATABASE_URL": os.environ["DATABASE_URL"]}


@pytest.fixture
def layout(state: Path) -> Layout:
    made = Layout(state)
    layouts.make(made)
    return made


@pytest.fixture
def plant(layout: Layout) -> Iterator[Layout]:
    """A plant that runs, as far as others can tell."""
    with lock.held(layout.lock, lock.Holder(os.getpid(), "http://127.0.0.1:8000")):
        yield layout


@dataclass
class Opened:
    """`make tablets` in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    said: Path
    layout: Layout

    def output(self) -> str:
        return self.said.read_text(encoding="utf-8")

    def is_up(self) -> bool:
        return wait_until(lambda: "Stop it with Ctrl-C" in self.output(), 120)

    def children(self) -> list[int]:
        return list(living(f"{EVERYWHERE}:{self.port}"))

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(90)


Open = Callable[..., Opened]


def own_pair() -> int:
    """A port that is free like the one below it: none that a connection of others is given by
    chance, nor one that the tests beside these take."""
    return free_pair(20_000 + os.getpid() * 8 % 12_000)


@pytest.fixture
def tablets(with_database: dict[str, str], layout: Layout, tmp_path: Path) -> Iterator[Open]:
    """Opens the plant; whatever a test leaves running is killed."""
    started: list[Opened] = []

    def start(*arguments: str) -> Opened:
        port = own_pair()
        said = tmp_path / "said"
        with said.open("w") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "config.runner", "tablets"),
                    *("--port", str(port), *arguments),
                ],
                cwd=REPOSITORY,
                env=with_database | {"PYTHONIOENCODING": "utf-8"},
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        started.append(Opened(process, port, said, layout))
        return started[-1]

    yield start
    for opened in started:
        opened.process.kill()
        opened.process.wait()
        for pid in opened.children():
            os.kill(pid, signal.SIGKILL)


def ask(opened: Opened, *, host: str = HOST, trusting: Path | None = None) -> Any:
    """GET /health/ as a tablet does that trusts the authority alone."""
    context = ssl.create_default_context(cafile=str(trusting or opened.layout.tls / "ca.pem"))
    connection = http.client.HTTPSConnection(host, opened.port, timeout=60, context=context)
    connection.request("GET", "/health/")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def plain(opened: Opened, method: str, path: str, **headers: str) -> tuple[Any, bytes]:
    """One request to the page without TLS."""
    connection = http.client.HTTPConnection("127.0.0.1", opened.port - 1, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


@pytest.mark.usefixtures("plant")
def test_a_tablet_that_trusts_the_authority_is_served_and_the_end_is_clean(tablets: Open) -> None:
    opened = tablets("--host", HOST)
    assert opened.is_up(), opened.output()
    assert ask(opened).status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(opened, host="127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(opened, trusting=plants(opened.layout.tls / "other")[0])
    said = opened.output()
    assert f"Tablets open https://localhost:{opened.port}/line/" in said
    assert f"once for each tablet: http://localhost:{opened.port - 1}/" in said
    assert fingerprint(opened.layout.tls / "ca.pem") in said
    assert re.search("[█▀▄]{10}", said)
    assert b"<svg" in (opened.layout.tls / "address.svg").read_bytes()
    assert opened.stop() == 0
    assert "Loupe itself goes on." in opened.output()
    assert "Traceback" not in opened.output()
    assert opened.children() == []
    assert all(ports.is_free(opened.port - n, EVERYWHERE) for n in (0, 1))


@pytest.mark.usefixtures("plant")
def test_the_first_page_gives_out_the_certificate_and_nothing_else(tablets: Open) -> None:
    opened = tablets("--host", HOST)
    assert opened.is_up(), opened.output()
    page, body = plain(opened, "GET", "/")
    text = body.decode()
    assert page.status == 200
    for words in ("iPad", "Android", "Windows", "Linux", fingerprint(opened.layout.tls / "ca.pem")):
        assert words in text
    assert f"https://localhost:{opened.port}/line/" in text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    _german, body = plain(opened, "GET", "/", **{"Accept-Language": "de-DE,de;q=0.9,en;q=0.8"})
    assert "Zertifikat laden" in body.decode()
    answer, der = plain(opened, "GET", "/loupe-ca.crt")
    assert answer.headers["Content-Type"] == "application/x-x509-ca-cert"
    found = x509.load_der_x509_certificate(der)
    assert found == x509.load_pem_x509_certificate((opened.layout.tls / "ca.pem").read_bytes())
    for path in (
        "/ca.key",
        "/server.key",
        "/../ca.key",
        "/loupe-ca.crt/../ca.key",
        "//etc/passwd",
        "/line/",
        "/login/",
        "/?x=1",
    ):
        answer, body = plain(opened, "GET", path)
        assert (answer.status, body) == (404, b"Not found.\n"), path
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert plain(opened, method, "/")[0].status == 501, method
    assert plain(opened, "HEAD", "/loupe-ca.crt")[1] == b""


@pytest.mark.usefixtures("plant")
def test_django_knows_the_names_and_keeps_its_cookies_to_tls(tablets: Open) -> None:
    opened = tablets("--host", HOST)
    assert opened.is_up(), opened.output()
    context = ssl.create_default_context(cafile=str(opened.layout.tls / "ca.pem"))
    for host, status in ((HOST, 200), ("evil.example", 400)):
        connection = http.client.HTTPSConnection(HOST, opened.port, timeout=60, context=context)
        connection.request("GET", "/health/", headers={"Host": host})
        assert connection.getresponse().status == status, host
        connection.close()
    asked = subprocess.run(
        [sys.executable, "-c", SETTINGS_OF, str(opened.children()[0])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "DJANGO_SETTINGS_MODULE=config.settings.tablets" in asked.stdout


SETTINGS_OF = """
import sys
print(open(f"/proc/{sys.argv[1]}/environ").read().replace("\\0", "\\n"))
"""


def spki(certificate: Path) -> str:
    """What Chromium calls this server's key."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


@pytest.fixture
def browser_at(browser_type: BrowserType) -> Iterator[Callable[..., Page]]:
    """Chromium on the plant network; with `trusting` as if the authority were installed."""
    opened: list[Browser] = []

    def launch(*, trusting: Path | None = None) -> Page:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        # Not a loopback name: that would be secure without TLS, too.
        arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {PLANT_NAME} 127.0.0.1"]
        if trusting:
            arguments.append(f"--ignore-certificate-errors-spki-list={spki(trusting)}")
        opened.append(browser_type.launch(executable_path=program, args=arguments))
        return opened[-1].new_page()

    yield launch
    for browser in opened:
        browser.close()


@pytest.mark.usefixtures("plant")
def test_chromium_finds_a_secure_context_with_service_workers(
    tablets: Open, browser_at: Callable[..., Page]
) -> None:
    opened = tablets("--host", PLANT_NAME)
    assert opened.is_up(), opened.output()
    asked = "[isSecureContext, 'serviceWorker' in navigator]"
    page = browser_at(trusting=opened.layout.tls / "server.pem")
    page.goto(f"http://{PLANT_NAME}:{opened.port - 1}/")
    assert page.evaluate(asked) == [False, False]
    assert page.get_by_role("link", name=f"https://{PLANT_NAME}").count() == 1
    page.goto(f"https://{PLANT_NAME}:{opened.port}/health/")
    assert page.evaluate(asked) == [True, True]
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        browser_at().goto(f"https://{PLANT_NAME}:{opened.port}/health/")


@pytest.mark.usefixtures("plant")
def test_with_the_plants_certificate_no_authority_is_made(tablets: Open, tmp_path: Path) -> None:
    certificate, key = plants(tmp_path / "it", [HOST, "127.0.0.1"])
    opened = tablets("--certificate", str(certificate), "--key", str(key))
    assert opened.is_up(), opened.output()
    assert ask(opened, trusting=certificate).status == 200
    assert not (opened.layout.tls / "ca.key").exists()
    assert ports.is_free(opened.port - 1, EVERYWHERE)
    assert "fingerprint" not in opened.output()
    assert opened.stop(signal.SIGTERM) == 0


def test_it_ends_with_the_plant(tablets: Open, layout: Layout) -> None:
    with lock.held(layout.lock, lock.Holder(os.getpid(), "http://127.0.0.1:8000")):
        opened = tablets("--host", HOST)
        assert opened.is_up(), opened.output()
    assert opened.process.wait(90) == 0
    assert "Loupe was stopped" in opened.output()
    assert opened.children() == []


@pytest.mark.usefixtures("plant")
def test_the_web_server_ends_with_a_runner_that_is_killed(tablets: Open) -> None:
    opened = tablets("--host", HOST)
    assert opened.is_up(), opened.output()
    opened.process.kill()
    assert wait_until(lambda: opened.children() == [], 90)


@pytest.mark.usefixtures("plant")
def test_a_web_server_that_cannot_start_says_why(
    tablets: Open, with_database: dict[str, str]
) -> None:
    with_database["LOUPE_LEASE_S"] = "not-a-number"
    opened = tablets("--host", HOST)
    assert opened.process.wait(120) == 1
    assert "lease_s" in opened.output()
    assert opened.children() == []


def test_it_asks_for_a_plant_that_runs(runner: Run) -> None:
    refused = runner("tablets")
    assert refused.returncode == 1
    assert "Loupe is not running. Start it with: make run" in refused.stderr


@pytest.mark.usefixtures("plant")
@pytest.mark.parametrize("below", [0, 1], ids=["asked for", "below it"])
def test_a_taken_port_names_its_holder_and_a_free_pair(runner: Run, below: int) -> None:
    port = own_pair()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port - below))
        taken.listen()
        refused = runner("tablets", "--host", HOST, "--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port - below} is taken by process {os.getpid()}" in refused.stderr
    assert re.search(r"make tablets PORT=\d+", refused.stderr)


@pytest.mark.usefixtures("plant")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--certificate", "plant.pem"), "Give both"),
        (("--host", "no such name"), "neither a host name nor an address"),
        (("--port", "70000"), "is no port"),
    ],
)
def test_a_wrong_wish_is_told(runner: Run, arguments: tuple[str, ...], sentence: str) -> None:
    refused = runner("tablets", *arguments)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.usefixtures("plant")
def test_without_a_name_it_keeps_the_last_one_and_tells_when_the_address_has_changed(
    runner: Run, layout: Layout
) -> None:
    with socket.socket() as taken:
        taken.bind((EVERYWHERE, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        # Far enough to make the certificates, no further.
        assert "is taken by" in runner("tablets", "--host", "198.51.100.7", "--port", port).stderr
        refused = runner("tablets", "--port", port)
    assert "Tablets know this machine as 198.51.100.7" in refused.stderr
    assert "make tablets HOST=" in refused.stderr

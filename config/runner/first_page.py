"""The page a tablet opens first, without TLS: it brings the certificate and says where to put it.

It gives out this page and the certificate and nothing else.
"""

import base64
import hashlib
import html
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives.serialization import Encoding

from config.runner.certificates import fingerprint, read_certificate

CERTIFICATE = "/loupe-ca.crt"
WORDS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
STYLE = (
    "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}"
    "code{overflow-wrap:anywhere}summary,a{display:block;padding:.75rem 0}summary{cursor:pointer}"
)
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src "
    f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)


@dataclass(frozen=True)
class FirstPage:
    """What the page tells: the certificate to install, and where Loupe is afterwards."""

    authority: Path
    address: str

    def in_language(self, accepted: str) -> bytes:
        """The page in German for who prefers it, else in English."""
        first = accepted.strip().lower()[:2]
        language = "de" if first == "de" else "en"
        return self._filled(language, WORDS[language]).encode()

    def certificate(self) -> bytes:
        """As tablets take it."""
        return read_certificate(self.authority).public_bytes(Encoding.DER)

    def _filled(self, language: str, words: dict[str, Any]) -> str:
        said = {name: html.escape(text) for name, text in words.items() if isinstance(text, str)}
        systems = "".join(
            f"<details><summary>{html.escape(system['name'])}</summary><ol>"
            + "".join(f"<li>{html.escape(step)}</li>" for step in system["steps"])
            + "</ol></details>"
            for system in words["systems"]
        )
        address = html.escape(self.address)
        return (
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{said['title']}</title><style>{STYLE}</style></head><body>"
            f"<h1>{said['title']}</h1><p>{said['why']}</p>"
            f'<h2>1. {said["load"]}</h2><p><a href="{CERTIFICATE}">{said["load_link"]}</a></p>'
            f"<p>{said['compare']}</p><p><code>{fingerprint(self.authority)}</code></p>"
            f"<h2>2. {said['install']}</h2>{systems}"
            f'<h2>3. {said["go"]}</h2><p><a href="{address}">{address}</a></p>'
            f"<p>{said['then']}</p></body></html>"
        )


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of two addresses."""

    page: ClassVar[FirstPage]
    protocol_version = "HTTP/1.1"
    server_version = "Loupe"
    sys_version = ""
    timeout = 5

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        status, kind, body = self._found()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "Connection": "close",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _found(self) -> tuple[int, str, bytes]:
        if self.path == "/":
            accepted = self.headers.get("Accept-Language", "")
            return 200, "text/html; charset=utf-8", self.page.in_language(accepted)
        if self.path == CERTIFICATE:
            return 200, "application/x-x509-ca-cert", self.page.certificate()
        return 404, "text/plain; charset=utf-8", b"Not found.\n"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        """Say nothing: the terminal belongs to the person at it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A tablet that hangs up is no fault."""


@contextmanager
def served(page: FirstPage, *, host: str, port: int) -> Iterator[None]:
    """The page at this port while the block runs."""
    handler = type("Handler", (_Handler,), {"page": page})
    with _Server((host, port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()

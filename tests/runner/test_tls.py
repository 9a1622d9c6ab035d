"""Certificates: made once, renewed in time, vouching for nothing else, refused with a reason."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.runner import host_names, tls
from config.runner.certificates import keep, names_in, pem, read_certificate, read_key
from config.runner.failures import CannotStart
from config.runner.tls import Served

NOW = dt.datetime.now(dt.UTC)
NAMES = ("loupe.plant.example", "127.0.0.1", "line-pc", "line-pc.local")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tls"


def shake(server: Path, key: Path, *, trusting: Path, host: str) -> str:
    """One TLS handshake as a tablet does it that trusts this authority alone: its verdict."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server, key)
    client = ssl.create_default_context(cafile=str(trusting))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            plain, _who = listening.accept()
            with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with socket.create_connection(listening.getsockname()) as plain:
                client.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        finally:
            thread.join()
    return ""


@pytest.mark.parametrize("host", NAMES)
def test_who_trusts_the_authority_trusts_the_server_under_each_of_its_names(
    folder: Path, host: str
) -> None:
    served = tls.own(folder, NAMES, at=NOW)
    assert served.names == NAMES
    assert served.authority is not None
    assert shake(served.certificate, served.key, trusting=served.authority, host=host) == ""


@pytest.mark.parametrize("host", ["other.plant.example", "127.0.0.2", "localhost"])
def test_under_another_name_it_is_refused(folder: Path, host: str) -> None:
    served = tls.own(folder, NAMES, at=NOW)
    assert served.authority is not None
    said = shake(served.certificate, served.key, trusting=served.authority, host=host)
    assert "mismatch" in said.lower()


def forged(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """What somebody who stole the authority's key would sign with it."""
    authority, key = read_certificate(folder / "ca.pem"), read_key(folder / "ca.key")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    own_key = ec.generate_private_key(ec.SECP256R1())
    made = tls._server(authority, key, own_key.public_key(), names, at=NOW)
    server, secret = folder / "forged.pem", folder / "forged.key"
    keep(server, made.public_bytes(serialization.Encoding.PEM))
    keep(secret, pem(own_key), secret=True)
    return server, secret


@pytest.mark.parametrize("host", ["bank.example", "10.9.8.7", "plant.example", "::1"])
@pytest.mark.parametrize("names", [NAMES, ("line-pc",), ("127.0.0.1",)])
def test_the_authority_can_vouch_for_no_other_server(
    folder: Path, host: str, names: Sequence[str]
) -> None:
    tls.own(folder, names, at=NOW)
    server, key = forged(folder, [host])
    said = shake(server, key, trusting=folder / "ca.pem", host=host)
    assert "subtree violation" in said


def test_the_authority_is_made_once_and_kept_for_its_owner_alone(folder: Path) -> None:
    tls.own(folder, NAMES, at=NOW)
    first = (folder / "ca.pem").read_bytes()
    tls.own(folder, NAMES, at=NOW + dt.timedelta(days=700))
    assert (folder / "ca.pem").read_bytes() == first
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("ca.key", "server.key"):
        assert (folder / name).stat().st_mode & 0o177 == 0, name
    authority = read_certificate(folder / "ca.pem")
    years = (authority.not_valid_after_utc - NOW).days / 365.25
    assert 9.9 < years < 10.1


def server(folder: Path) -> x509.Certificate:
    return read_certificate(folder / "server.pem")


def test_the_servers_certificate_lasts_397_days_and_is_renewed_30_days_before_its_end(
    folder: Path,
) -> None:
    tls.own(folder, NAMES, at=NOW)
    first = server(folder)
    assert first.not_valid_after_utc - first.not_valid_before_utc == dt.timedelta(days=397)
    tls.own(folder, NAMES, at=first.not_valid_after_utc - dt.timedelta(days=31))
    assert server(folder) == first
    tls.own(folder, NAMES, at=first.not_valid_after_utc - dt.timedelta(days=29))
    assert server(folder).not_valid_after_utc > first.not_valid_after_utc


def test_it_is_renewed_when_the_names_change_or_it_does_not_fit(folder: Path) -> None:
    tls.own(folder, NAMES, at=NOW)
    first = server(folder)
    fewer = tls.own(folder, NAMES[:2], at=NOW)
    assert server(folder) != first
    assert set(names_in(server(folder))) == set(NAMES[:2]) == set(fewer.names)
    (folder / "server.key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    tls.own(folder, NAMES[:2], at=NOW)
    assert (
        tls.why_renew(
            folder / "server.pem",
            folder / "server.key",
            read_certificate(folder / "ca.pem"),
            NAMES[:2],
            at=NOW,
        )
        == ""
    )
    (folder / "server.pem").write_text("nothing")
    tls.own(folder, NAMES[:2], at=NOW)
    assert set(names_in(server(folder))) == set(NAMES[:2])


def test_another_authority_makes_another_certificate(folder: Path) -> None:
    tls.own(folder, NAMES, at=NOW)
    (folder / "ca.pem").unlink()
    (folder / "ca.key").unlink()
    served = tls.own(folder, NAMES, at=NOW)
    assert served.authority is not None
    assert shake(served.certificate, served.key, trusting=served.authority, host=NAMES[0]) == ""


def test_a_name_it_may_not_vouch_for_is_left_out_unless_it_is_the_one_that_matters(
    folder: Path,
) -> None:
    tls.own(folder, NAMES, at=NOW)
    assert tls.own(folder, [*NAMES, "10.0.0.9"], at=NOW).names == NAMES
    assert tls.last_host(folder) == NAMES[0]
    with pytest.raises(CannotStart, match=r"cannot vouch for 10\.0\.0\.9") as refused:
        tls.own(folder, ["10.0.0.9", *NAMES], at=NOW)
    assert "loupe.plant.example" in str(refused.value)
    assert f"Delete {folder}" in str(refused.value)


def test_an_authority_that_ends_or_lost_its_key_is_told(folder: Path) -> None:
    tls.own(folder, NAMES, at=NOW)
    with pytest.raises(CannotStart, match=r"is valid until \d{4}-\d\d-\d\d only. Delete"):
        tls.own(folder, NAMES, at=NOW + tls.AUTHORITY_LASTS)
    (folder / "ca.key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(CannotStart, match="do not belong together"):
        tls.own(folder, NAMES, at=NOW)
    (folder / "ca.key").unlink()
    with pytest.raises(CannotStart, match=r"ca\.key cannot be read"):
        tls.own(folder, NAMES, at=NOW)


# --- the plant's certificate ---


def plants(
    folder: Path,
    names: Sequence[str] = ("loupe.plant.example",),
    *,
    begins: int = -1,
    ends: int = 90,
    passphrase: bytes = b"",
) -> tuple[Path, Path]:
    """A certificate and key as the plant's IT hands them out."""
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plant")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + dt.timedelta(days=begins))
        .not_valid_after(NOW + dt.timedelta(days=ends))
    )
    if names:
        alternatives = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate, secret = folder / "plant.pem", folder / "plant.key"
    certificate.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption(),
        )
    )
    return certificate, secret


def test_the_plants_certificate_is_served_under_its_first_name(folder: Path) -> None:
    pair = plants(folder, ["loupe.plant.example", "*.line.example", "10.0.0.7"])
    assert tls.given(*pair, "", at=NOW) == Served(
        *pair, ("loupe.plant.example", "10.0.0.7"), authority=None
    )
    assert tls.given(*pair, "tablets.line.example", at=NOW).names[0] == "tablets.line.example"
    assert tls.given(*pair, "10.0.0.7", at=NOW).names[0] == "10.0.0.7"


@pytest.mark.parametrize(
    ("host", "names", "sentence"),
    [
        ("other.example", ["loupe.plant.example"], "other.example is not in .*loupe.plant.example"),
        ("a.b.line.example", ["*.line.example"], "a.b.line.example is not in"),
        ("10.0.0.8", ["10.0.0.7"], "10.0.0.8 is not in"),
        ("", ["*.line.example"], r"names no single host \(\*.line.example\)"),
        ("", [], "none at all"),
    ],
)
def test_a_host_the_certificate_does_not_hold_for_is_refused(
    folder: Path, host: str, names: list[str], sentence: str
) -> None:
    with pytest.raises(CannotStart, match=sentence) as refused:
        tls.given(*plants(folder, names), host, at=NOW)
    assert "HOST=" in str(refused.value)


def test_what_is_wrong_with_the_pair_is_said(folder: Path) -> None:
    certificate, key = plants(folder, ends=-0, begins=-2)
    with pytest.raises(CannotStart, match="expired on"):
        tls.given(certificate, key, "", at=NOW)
    certificate, key = plants(folder, begins=2)
    with pytest.raises(CannotStart, match="clock"):
        tls.given(certificate, key, "", at=NOW)
    other = folder / "other.key"
    other.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(CannotStart, match="not the key of"):
        tls.given(certificate, other, "", at=NOW)
    with pytest.raises(CannotStart, match="not a certificate"):
        tls.given(key, key, "", at=NOW)
    with pytest.raises(CannotStart, match="not a private key"):
        tls.given(certificate, certificate, "", at=NOW)
    with pytest.raises(CannotStart, match="cannot be read"):
        tls.given(folder / "none.pem", key, "", at=NOW)
    certificate, key = plants(folder, passphrase=b"secret")
    with pytest.raises(CannotStart, match=r"passphrase.*openssl pkey"):
        tls.given(certificate, key, "", at=NOW)


# --- names ---


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Loupe.Plant.example.", "loupe.plant.example"),
        (" 10.0.0.7 ", "10.0.0.7"),
        ("line-1", "line-1"),
    ],
)
def test_a_name_is_taken_as_it_is_meant(typed: str, name: str) -> None:
    assert host_names.checked_name(typed) == name


@pytest.mark.parametrize(
    "typed",
    ["", "-a", "a b", "a..b", "10.0.0.300", "http://x", "*.x", "ü.example", "a" * 64, "::1"],
)
def test_what_is_no_name_is_refused(typed: str) -> None:
    with pytest.raises(CannotStart, match="HOST="):
        host_names.checked_name(typed)

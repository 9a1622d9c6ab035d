"""What the web server shows tablets: a certificate by an own authority, or the plant's."""

import ipaddress
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config.runner.certificates import (
    belong,
    covers,
    keep,
    names_in,
    pem,
    read_certificate,
    read_key,
)
from config.runner.failures import CannotStart
from config.runner.host_names import as_address
from config.runner.language import in_language as _

AUTHORITY_LASTS = timedelta(days=3653)
SERVER_LASTS = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
# A tablet's clock may be a little behind.
CLOCKS_DIFFER = timedelta(hours=12)


@dataclass(frozen=True)
class Served:
    """What the web server shows: the certificate, its key, and the names it holds for."""

    certificate: Path
    key: Path
    names: tuple[str, ...]
    # The own authority's certificate; None with the plant's.
    authority: Path | None = None


def own(folder: Path, names: Sequence[str], *, at: datetime) -> Served:
    """The server's certificate for these names by the machine's own authority, made where needed.

    The first name must be covered; others the authority may not vouch for are left out.
    """
    make_folder(folder)
    authority, authority_key = _authority(folder, names, at=at)
    covered = [name for name in names if vouches(authority, name)]
    if not covered or covered[0] != names[0]:
        raise CannotStart(_not_covered(folder, authority, names[0]))
    server, key = folder / "server.pem", folder / "server.key"
    if why_renew(server, key, authority, covered, at=at):
        made_key = ec.generate_private_key(ec.SECP256R1())
        made = _server(authority, authority_key, made_key.public_key(), covered, at=at)
        keep(key, pem(made_key), secret=True)
        keep(server, made.public_bytes(serialization.Encoding.PEM))
    return Served(server, key, tuple(covered), authority=folder / "ca.pem")


def make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)


def _authority(
    folder: Path, names: Sequence[str], *, at: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Made once; its certificate is what people install on tablets."""
    file, key_file = folder / "ca.pem", folder / "ca.key"
    if not file.exists() and not key_file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        keep(key_file, pem(key), secret=True)
        made = _self_signed(key, names, at=at)
        keep(file, made.public_bytes(serialization.Encoding.PEM))
    certificate, secret = read_certificate(file), read_key(key_file)
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or not belong(certificate, secret):
        raise CannotStart(
            _("%(certificate)s and %(key)s do not belong together.")
            % {"certificate": file, "key": key_file}
            + f" {start_over(folder)}"
        )
    if certificate.not_valid_after_utc - at < RENEW_BEFORE:
        raise CannotStart(
            _("%(certificate)s is valid until %(day)s only.")
            % {"certificate": file, "day": f"{certificate.not_valid_after_utc:%Y-%m-%d}"}
            + f" {start_over(folder)}"
        )
    return certificate, secret


def start_over(folder: Path) -> str:
    """What to do when the authority is of no use any more."""
    return _(
        "Delete %(folder)s and run `make tablets` again; every tablet then needs the new "
        "certificate."
    ) % {"folder": folder}


def _self_signed(
    key: ec.EllipticCurvePrivateKey, names: Sequence[str], *, at: datetime
) -> x509.Certificate:
    title = f"Loupe on {socket.gethostname()}"[:64]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCKS_DIFFER)
        .not_valid_after(at + AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(constraints(names), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def constraints(names: Sequence[str]) -> x509.NameConstraints:
    """These names and addresses and no other: whoever gets the key can play no other server."""
    hosts = [x509.DNSName(name) for name in names if as_address(name) is None]
    addresses = [x509.IPAddress(ipaddress.ip_network(name)) for name in names if as_address(name)]
    # A kind that is not mentioned would be free.
    no_hosts = [] if hosts else [x509.DNSName("")]
    nowhere = ("0.0.0.0/0", "::/0")
    no_addresses = (
        [] if addresses else [x509.IPAddress(ipaddress.ip_network(all_)) for all_ in nowhere]
    )
    return x509.NameConstraints(
        permitted_subtrees=[*hosts, *addresses],
        excluded_subtrees=[*no_hosts, *no_addresses] or None,
    )


def vouches(authority: x509.Certificate, name: str) -> bool:
    """Whether the authority may sign for this name."""
    allowed = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    if address := as_address(name):
        return any(
            isinstance(each, x509.IPAddress)
            and isinstance(each.value, ipaddress.IPv4Network | ipaddress.IPv6Network)
            and address in each.value
            for each in allowed.permitted_subtrees or ()
        )
    return any(
        isinstance(each, x509.DNSName) and f".{name}".endswith(f".{each.value}")
        for each in allowed.permitted_subtrees or ()
    )


def _not_covered(folder: Path, authority: x509.Certificate, name: str) -> str:
    allowed = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    known = ", ".join(_plain(each) for each in allowed.permitted_subtrees or ())
    said = _(
        "The certificate authority in %(folder)s was made for %(known)s; it cannot vouch for "
        "%(name)s. Use one of those: make tablets HOST=... Or start over:"
    ) % {"folder": folder, "known": known, "name": name}
    return f"{said} {start_over(folder)}"


def _plain(name: x509.GeneralName) -> str:
    if isinstance(name, x509.IPAddress):
        return str(name.value).removesuffix("/32")
    return str(name.value)


def why_renew(
    server: Path,
    key: Path,
    authority: x509.Certificate,
    names: Collection[str],
    *,
    at: datetime,
) -> str:
    """Why the server's certificate must be made anew; empty when it is good."""
    if not server.exists() or not key.exists():
        return "there is none"
    try:
        certificate = read_certificate(server)
        certificate.verify_directly_issued_by(authority)
        fits = belong(certificate, read_key(key))
    except (CannotStart, InvalidSignature, ValueError, TypeError):
        return "it is not the authority's"
    if not fits:
        return "its key is another"
    if certificate.not_valid_after_utc - at < RENEW_BEFORE:
        return "it ends soon"
    return "" if set(names_in(certificate)) == set(names) else "the names have changed"


def _server(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    names: Sequence[str],
    *,
    at: datetime,
) -> x509.Certificate:
    ends = min(at - CLOCKS_DIFFER + SERVER_LASTS, authority.not_valid_after_utc)
    alternatives = [
        x509.IPAddress(address) if (address := as_address(name)) else x509.DNSName(name)
        for name in names
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(authority.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCKS_DIFFER)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )


def key_usage(**what: bool) -> x509.KeyUsage:
    """Only what is named."""
    kinds = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**dict.fromkeys(kinds, False) | what)


def last_host(folder: Path) -> str:
    """Under which name tablets opened it the last time; empty when nobody ever did."""
    server = folder / "server.pem"
    if not server.exists():
        return ""
    names = read_certificate(server).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return str(next(iter(names.value)).value)


def given(certificate: Path, key: Path, host: str, *, at: datetime) -> Served:
    """The plant's certificate, looked at before anything is started with it."""
    found, secret = read_certificate(certificate), read_key(key)
    if not belong(found, secret):
        raise CannotStart(
            _("%(key)s is not the key of %(certificate)s. Give the pair that was made together.")
            % {"key": key, "certificate": certificate}
        )
    if found.not_valid_after_utc <= at:
        raise CannotStart(
            _("%(certificate)s expired on %(day)s. Ask whoever issued it for a new one.")
            % {"certificate": certificate, "day": f"{found.not_valid_after_utc:%Y-%m-%d}"}
        )
    if found.not_valid_before_utc > at:
        raise CannotStart(
            _(
                "%(certificate)s is valid from %(time)s UTC on. Look whether this machine's clock "
                "is right."
            )
            % {"certificate": certificate, "time": f"{found.not_valid_before_utc:%Y-%m-%d %H:%M}"}
        )
    names = names_in(found)
    if not host:
        host = next((name for name in names if "*" not in name), "")
    if not host:
        raise CannotStart(
            _(
                "%(certificate)s names no single host (%(names)s). "
                "Say under which name tablets open it: HOST=..."
            )
            % {"certificate": certificate, "names": ", ".join(names) or _("none at all")}
        )
    if not any(covers(name, host) for name in names):
        raise CannotStart(
            _(
                "%(host)s is not in %(certificate)s; it holds for: %(names)s. "
                "Choose one of those: HOST=..."
            )
            % {
                "host": host,
                "certificate": certificate,
                "names": ", ".join(names) or _("no name at all"),
            }
        )
    others = [name for name in names if "*" not in name and name != host]
    return Served(certificate, key, (host, *others))

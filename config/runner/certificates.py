"""Certificates and keys as files: read, told apart, compared, kept."""

import hashlib
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from config.runner.failures import CannotStart
from config.runner.host_names import as_address
from config.runner.language import in_language as _


def read_certificate(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_bytes(file))[0]
    except ValueError as error:
        raise CannotStart(
            _("%(file)s is not a certificate in PEM form.") % {"file": file}
        ) from error


def read_key(file: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_bytes(file), password=None)
    except TypeError as error:
        raise CannotStart(
            _(
                "%(file)s is locked with a passphrase. Unlock it first: "
                "openssl pkey -in %(file)s -out unlocked.key"
            )
            % {"file": file}
        ) from error
    except ValueError as error:
        raise CannotStart(
            _("%(file)s is not a private key in PEM form.") % {"file": file}
        ) from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CannotStart(
            _("%(file)s cannot be read (%(why)s).") % {"file": file, "why": error.strerror}
        ) from error


def belong(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether this is the certificate's key."""
    return _public(certificate.public_key()) == _public(key.public_key())


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def fingerprint(file: Path) -> str:
    """SHA-256 of a certificate, in pairs as tablets show it."""
    found = hashlib.sha256(
        read_certificate(file).public_bytes(serialization.Encoding.DER)
    ).hexdigest()
    return ":".join(found[at : at + 2] for at in range(0, len(found), 2)).upper()


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def keep(file: Path, content: bytes, *, secret: bool = False) -> None:
    """Whole or not at all; a secret one is its owner's alone from the first byte on."""
    draft = file.with_name(file.name + ".unfinished")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)


def covers(pattern: str, host: str) -> bool:
    """Whether a name of a certificate holds for the host; `*` stands for one label."""
    if pattern.startswith("*.") and as_address(host) is None:
        return host.partition(".")[2] == pattern[2:]
    return pattern == host


def names_in(certificate: x509.Certificate) -> list[str]:
    """Host names and addresses a certificate holds for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    hosts = [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]
    return [*hosts, *map(str, found.value.get_values_for_type(x509.IPAddress))]

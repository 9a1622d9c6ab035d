"""How a request shows that it comes from us."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from mes_integration.adapters.http_wire import Auth

_WEBHOOK_SECRET: Final = "whsec_"  # noqa: S105  # how the standard marks one


def signature(secret: str, body: bytes, *, at: int) -> str:
    """The X-Loupe-Signature of a body at a Unix time."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def webhook_signature(secrets: str, body: bytes, *, key: str, at: int) -> str:
    """The webhook-signature of a body: one for each secret, for as long as they are rotated."""
    signed = f"{key}.{at}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.new(_raw(s), signed, hashlib.sha256).digest()).decode()
        for s in secrets.split()
    )


def _raw(secret: str) -> bytes:
    """The bytes of a secret; with the standard's prefix it is base64."""
    if secret.startswith(_WEBHOOK_SECRET):
        try:
            return base64.b64decode(secret.removeprefix(_WEBHOOK_SECRET), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def headers(
    auth: Auth, *, user: str, secret: str, body: bytes, key: str, at: int
) -> dict[str, str]:
    """What a request carries to be let in."""
    match auth:
        case "signature":
            return {"X-Loupe-Signature": signature(secret, body, at=at)}
        case "standard-webhooks":
            return {
                "webhook-id": key,
                "webhook-timestamp": str(at),
                "webhook-signature": webhook_signature(secret, body, key=key, at=at),
            }
        case "bearer":
            return {"Authorization": f"Bearer {secret}"}
        case "basic":
            pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        case "token":
            return {"Authorization": f"token {user}:{secret}"}

"""What the model server says of itself."""

from __future__ import annotations

from typing import Final

import httpx

PATIENCE_S: Final = 5.0


def model_of(url: str) -> tuple[str, str] | None:
    """Name and version of the model it answers for; None when it does not answer with one."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/ping", timeout=PATIENCE_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    name = answer.headers.get("X-Loupe-Model-Name", "")
    version = answer.headers.get("X-Loupe-Model-Version", "")
    return (name, version) if answer.is_success and version else None

"""How the fault programme reaches the processes around the product."""

from __future__ import annotations

import contextlib
import http.client
from typing import Any

import boto3


def sqs_at(port: int) -> Any:
    """A client of the queue that answers there."""
    return boto3.client(
        "sqs",
        region_name="eu-central-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",  # noqa: S106  # throw-away
    )


def asked(port: int, method: str, path: str, body: str | None = None) -> bytes:
    """The body of an answer that says 200; HTTPException for another."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as line:
        line.request(method, path, body)
        response = line.getresponse()
        if response.status != 200:
            raise http.client.HTTPException(f"{path}: {response.status}")
        return response.read()

"""Tablets that wait for news, all in one process: `benchmarks.line_tablets PORT < tokens`.

Reads one token a line, has each tablet ask for its board for ever over one kept connection, and
writes `tablet<TAB>monotonic seconds<TAB>status` for every answer.
"""

from __future__ import annotations

import asyncio
import sys
import time

WAIT_S = 20
TOGETHER_S = 4.0


async def tablet(number: int, token: str, port: int, *, first_after: float) -> None:
    """One tablet, as its page asks: at once for the first board, then for the next version."""
    await asyncio.sleep(first_after)
    tag = ""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                writer.write(_request(token, tag, port))
                status, tag, is_kept = await _answer(reader)
                print(f"{number}\t{time.monotonic():.6f}\t{status}", flush=True)
                if status not in (200, 304):
                    raise SystemExit(f"tablet {number}: {status}")
                if not is_kept:
                    break
        finally:
            writer.close()


def _request(token: str, tag: str, port: int) -> bytes:
    path = f"/api/v1/line/board?wait={WAIT_S}" if tag else "/api/v1/line/board"
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Cookie: loupe_device={token}",
        "X-Loupe-Line: 1",
        "Accept: application/json",
        *([f"If-None-Match: {tag}"] if tag else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bool]:
    """Status, tag, and whether the connection is kept."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    named = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _colon, value in named}
    status = int(first.split()[1])
    if status != 304:
        await reader.readexactly(int(headers["content-length"]))
    return status, headers.get("etag", ""), headers.get("connection", "").lower() != "close"


async def main() -> None:
    """All of them; their first questions are spread, as switched-on tablets are."""
    port = int(sys.argv[1])
    tokens = sys.stdin.read().split()
    gap = TOGETHER_S / max(1, len(tokens))
    waiting = (tablet(n, token, port, first_after=n * gap) for n, token in enumerate(tokens))
    await asyncio.gather(*waiting)


if __name__ == "__main__":
    asyncio.run(main())

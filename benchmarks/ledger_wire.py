"""A wire between processes and PostgreSQL that can be cut: `python -m benchmarks.ledger_wire`.

One line of JSON on the control port orders a fault, and is answered with a line:
{"do": "lose_commits", "count": 3}  the next commits reach the server, their answers nobody
{"do": "reset"}                     every connection is reset
{"do": "silence", "seconds": 2}     nothing passes, in either direction
{"do": "latency", "seconds": 0.05}  everything passes later, until it is ordered to be 0
{"do": "down", "seconds": 2}        connections are reset, new ones at once
{"do": "slice"}                     one chunk in two pieces, for the next hundred
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct
import time
from typing import Any, Final

_CHUNK: Final = 65536
_SLICED: Final = 100
_COMMIT: Final = b"COMMIT"


class Wire:
    """What is ordered at present, and the connections there are."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self._silent_until = self._down_until = 0.0
        self._latency = 0.0
        self._losing = self._slicing = 0
        self.lost = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        if time.monotonic() < self._down_until:
            _reset(writer)
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            _reset(writer)
            return
        both = {writer, to_server}
        self._open |= both
        forgets = asyncio.Event()
        ways = (
            self._pass(reader, to_server, forgets, is_request=True),
            self._pass(from_server, writer, forgets, is_request=False),
        )
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self._open -= both
        for end in both:
            _reset(end)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        forgets: asyncio.Event,
        *,
        is_request: bool,
    ) -> None:
        try:
            while chunk := await reader.read(_CHUNK):
                await self._hold_back()
                if is_request and self._losing and _COMMIT in chunk:
                    self._losing -= 1
                    forgets.set()
                elif not is_request and forgets.is_set():
                    # The server has answered the commit; whoever asked is not told.
                    self.lost += 1
                    return
                if self._slicing and len(chunk) > 1:
                    self._slicing -= 1
                    writer.write(chunk[:1])
                    await writer.drain()
                    await asyncio.sleep(0.002)
                    chunk = chunk[1:]
                writer.write(chunk)
                await writer.drain()
        except OSError:
            return

    async def _hold_back(self) -> None:
        if self._latency:
            await asyncio.sleep(self._latency)
        while (left := self._silent_until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def take_orders(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One order a connection."""
        self._follow(json.loads(await reader.readline()))
        writer.write(json.dumps({"lost": self.lost}).encode() + b"\n")
        await writer.drain()
        writer.close()

    def _follow(self, order: dict[str, Any]) -> None:
        seconds = float(order.get("seconds", 0))
        match order["do"]:
            case "lose_commits":
                self._losing = int(order["count"])
            case "reset":
                self._reset_all()
            case "silence":
                self._silent_until = time.monotonic() + seconds
            case "latency":
                self._latency = seconds
            case "down":
                self._down_until = time.monotonic() + seconds
                self._reset_all()
            case "slice":
                self._slicing = _SLICED
            case "serve":
                self._port = int(order["port"])
            case _:
                raise ValueError(order["do"])

    def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a cable that is pulled does, not as a program that is done."""
    ends: socket.socket | None = writer.get_extra_info("socket")
    if ends is not None and ends.fileno() >= 0:
        ends.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def order(control: int, **what: object) -> dict[str, Any]:
    """Order a fault from outside."""
    with socket.create_connection(("127.0.0.1", control), timeout=10) as connection:
        connection.sendall(json.dumps(what).encode() + b"\n")
        answer: dict[str, Any] = json.loads(connection.makefile().readline())
        return answer


async def _serve(listen: int, control: int, port: int) -> None:
    wire = Wire(port)
    carrier = await asyncio.start_server(wire.carry, "127.0.0.1", listen, backlog=200)
    orders = await asyncio.start_server(wire.take_orders, "127.0.0.1", control)
    async with carrier, orders:
        await asyncio.gather(carrier.serve_forever(), orders.serve_forever())


def main() -> None:
    """Carry until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_wire")
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--to", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(_serve(given.listen, given.control, given.to))


if __name__ == "__main__":
    main()

"""Ports that stay a test's own from the choice to the end, also while nothing listens there."""

from __future__ import annotations

import socket


class OwnPort:
    """A free port of the loopback address, held until `free()`.

    A port that was only looked up can be given to a connection of others before what is started
    listens there, or while it is away. This one is bound, so that the system gives it to nobody; a
    server that reuses addresses, as every server does, listens beside it all the same.
    """

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.number: int = self._held.getsockname()[1]

    def free(self) -> None:
        """Give it back."""
        self._held.close()

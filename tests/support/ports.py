"""Ports for servers of a test's own."""

import random
import socket
from contextlib import ExitStack, suppress


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    # None of those that outgoing connections are given: some other test may open one in the meantime.
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Ports(ExitStack):
    """Ports for servers that allow an address to be used again, as Redis and Go do; held until the end.

    Systems give ports of their own choice from 32768 up: a sentinel that started a moment after it had been
    given such a port found it taken under load, ended, and the others waited for it.
    """

    def new(self) -> int:
        """Return a port that nobody else is given."""
        while True:
            port = random.randint(20_000, 32_000)
            try:
                with socket.socket() as probe:
                    probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            held = self.enter_context(socket.socket())
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", port))
            return port

"""A network of hosts, each with its own address."""

import ctypes
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

# Of setns(2), linux/sched.h.
_CLONE_NEWNET = 0x40000000


class Network:
    """Hosts on one switch: network namespaces, joined by a bridge in one more."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._hosts: list[str] = []
        self._switch = f"{name}-switch"

    def __enter__(self) -> Self:
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        return self

    def add(self, host: str) -> str:
        """Add a host and return its address."""
        self._hosts.append(host)
        number, namespace = len(self._hosts), self._namespace(host)
        address = f"10.77.0.{number}"
        _ip("netns", "add", namespace)
        port = ["type", "veth", "peer", "name", "eth0", "netns", namespace]
        _ip("-n", self._switch, "link", "add", f"port{number}", *port)
        _ip("-n", self._switch, "link", "set", f"port{number}", "master", "bridge", "up")
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", namespace, "link", "set", device, "up")
        return address

    def cut_off(self, host: str) -> None:
        """Drop a host's link."""
        self._set_link(host, "down")

    def bring_back(self, host: str) -> None:
        """Bring a host's link up again."""
        self._set_link(host, "up")

    def command(self, host: str) -> list[str]:
        """Return what a command begins with that is to run on a host."""
        return ["ip", "netns", "exec", self._namespace(host)]

    @contextmanager
    def at(self, host: str) -> Iterator[None]:
        """Have the connections that this thread makes within the block begin at a host."""
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{self._namespace(host)}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def __exit__(self, *_: object) -> None:
        for host in self._hosts:
            _ip("netns", "delete", self._namespace(host))
        _ip("netns", "delete", self._switch)

    def _namespace(self, host: str) -> str:
        return f"{self._name}-{host}"

    def _set_link(self, host: str, state: str) -> None:
        _ip("-n", self._switch, "link", "set", f"port{self._hosts.index(host) + 1}", state)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _enter(namespace: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns failed")

"""Teaching on a server: runs are queued there, followed, and their models added (docs/teaching.md)."""

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

_SECONDS_BETWEEN_LOOKS = 1.0
_UNFINISHED = {"queued", "running"}


class _Client(Protocol):
    def call(self, method: str, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]: ...

    def download(self, path: str, file: BinaryIO) -> None: ...


class Teaching:
    """The runs of teaching of a server, each a dictionary as ``GET /models/teach/<id>`` returns it.

    They are for administrators: the client needs such a key. Every method raises Refused or ServerError.
    """

    def __init__(self, client: _Client, sleep: Callable[[float], None]) -> None:
        self._client, self._sleep = client, sleep

    def begin(
        self,
        collection: str,
        name: str,
        *,
        base: str | None = None,
        classes: Sequence[str] = (),
        minutes: float | None = None,
    ) -> dict[str, Any]:
        """Queue a run that teaches a model the classes of a collection; return it.

        collection: its id. name: of the new model. base: the model to begin with; None for the embedded one.
        classes: those to teach; empty for all that are marked.
        minutes: that it may take; None for as many as the server gives it.
        """
        asked = {"base": base, "minutes": minutes, "classes": list(classes)}
        form = {key: value for key, value in asked.items() if value is not None}
        return self._client.call("POST", "/models/teach", {"collection": collection, "name": name, **form})

    def all(self) -> list[dict[str, Any]]:
        """Return all runs, the newest first, without their cards."""
        runs: list[dict[str, Any]] = self._client.call("GET", "/models/teach")["runs"]
        return runs

    def find(self, id: str) -> dict[str, Any]:
        """Return a run as it stands."""
        return self._client.call("GET", _path(id))

    def follow(
        self, id: str, on_look: Callable[[dict[str, Any]], object] = lambda run: None
    ) -> dict[str, Any]:
        """Wait until a run has ended, and return it. on_look: is given it each second."""
        while (run := self.find(id))["status"] in _UNFINISHED:
            on_look(run)
            self._sleep(_SECONDS_BETWEEN_LOOKS)
        on_look(run)
        return run

    def stop(self, id: str) -> None:
        """Cancel a run that has not ended; delete one that has, with all that came of it but its models."""
        self._client.call("DELETE", _path(id))

    def try_again(self, id: str) -> dict[str, Any]:
        """Queue a run that failed; it goes on from its last checkpoint, if there is one."""
        return self._client.call("POST", f"{_path(id)}/again")

    def add(self, id: str) -> dict[str, Any]:
        """Begin to add a taught model and its pair to the models of the server."""
        return self._client.call("POST", f"{_path(id)}/add")

    def download(self, id: str, file: BinaryIO) -> None:
        """Write a taught model's file, for `flask-detector models add` elsewhere, to a seekable file."""
        self._client.download(f"{_path(id)}/model", file)


def _path(id: str) -> str:
    return f"/models/teach/{quote(id, safe='')}"

"""One model is installed or added in a process of its own: what is asked for and what became of it is JSON.

A web process has this run, so that a conversion's memory, and whatever ends it, is not the web's. Asked on
standard input for `{"name"}` or `{"name", "file", "variant", "labels", "options"}`; answers `{"notes"}` or
`{"code", "message", "hint"}`.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from flask_detector.detectors import ModelStore, model_store
from flask_detector.detectors.checkpoint.contents import listed
from flask_detector.detectors.zoo.install_state import CANCELLED_STATUS
from flask_detector.errors import DetectorError
from flask_detector.settings import Settings


def main() -> None:
    """Do what standard input asks for; SIGTERM cancels it, and nothing half made is left."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(CANCELLED_STATUS))
    settings = Settings.from_environment()
    try:
        answer: dict[str, Any] = {"notes": _done(json.load(sys.stdin), model_store(settings), settings)}
    except DetectorError as error:
        answer = {"code": error.code, "message": error.message, "hint": error.hint}
    json.dump(answer, sys.stdout)


def _done(asked: dict[str, Any], store: ModelStore, settings: Settings) -> list[str]:
    """Return what a user should know of the model that is there now."""
    name, file = asked.pop("name"), asked.pop("file", None)
    if file is None:
        store.install(name, mirror_url=settings.mirror_url)
        return []
    reading = store.add(name, Path(file), **asked)
    classes = f"{len(reading.labels)} classes" if len(reading.labels) > 1 else "one class"
    return [f"{reading.title}, {classes}: {listed(reading.labels)}.", *reading.notes]


if __name__ == "__main__":
    main()

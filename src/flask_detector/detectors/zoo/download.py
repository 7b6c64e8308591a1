"""One large file from a web server: resumed, retried, checked and put in place as a whole."""

import errno
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask_detector.atomic_files import sync
from flask_detector.detectors.zoo.http_range import Answer, Broken, Changed, HttpSource
from flask_detector.detectors.zoo.install_state import write_json
from flask_detector.errors import DownloadError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
MAKE_ROOM = "Free some space there, or set DETECTOR_DATA_DIR to a folder on a larger disk."
_LONGEST_PAUSE = 60.0

OnBytes = Callable[[int, int | None, str], None]


@dataclass(frozen=True)
class Patience:
    """How long a download waits.

    timeout: seconds without any byte after which a connection counts as broken.
    pauses: seconds before each new try; after a try that brought bytes they begin anew.
    """

    timeout: float = 30.0
    pauses: tuple[float, ...] = (1, 2, 4, 8, 16)


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str,
    by_hand: str,
    spare: int = 0,
    patience: Patience | None = None,
    on_bytes: OnBytes | None = None,
) -> None:
    """Download a file to `target`, which appears whole and checked or not at all.

    What was received lies beside it as `<name>.part` until then, and the next call goes on from there. Two
    calls for one target must not run at once.

    url: http or https; a user name and password in it are sent to that server only.
    sha256: all 64 hexadecimal digits in lower case, or the first ones.
    by_hand: the hint of an error that says how to do without this download.
    spare: bytes of the disk that must be free when the file is there; checked beforehand.
    on_bytes: called with the bytes that are here, those of the whole file (None if not known) and a note for
    users, which is empty unless it waits.

    Raises DownloadError, and OSError when the folder can't be written for another reason than a full disk.
    """
    patience = patience or Patience()
    source = HttpSource(url, timeout=patience.timeout, by_hand=by_hand)
    download = _Download(source, target, patience, by_hand, spare, on_bytes)
    resumed = download.part.exists()
    found = download.complete()
    if resumed and not found.startswith(sha256):
        # The old bytes may be of an older file, or spoilt by a power cut: all from this server must do.
        download.discard()
        found = download.complete()
    if not found.startswith(sha256):
        download.discard()
        raise DownloadError(
            f"What came from {source.url} is not the published file and was deleted: its sha256 begins with "
            f"{found[:8]}, not with {sha256[:8]}.",
            hint=f"A proxy or a login page may have answered instead of the server. {by_hand}",
        )
    download.publish()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part_of(target: Path) -> Path:
    """Return where the bytes of an unfinished download of that file lie."""
    return target.with_name(target.name + ".part")


def in_words(count: int) -> str:
    """Return a number of bytes as one reads it: 512 bytes, 12.3 kB, 178.1 MB (10^6 bytes)."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


@dataclass
class _Download:
    """The received bytes of one file, and where the missing ones come from; see `fetch`."""

    source: HttpSource
    target: Path
    patience: Patience
    by_hand: str
    spare: int
    on_bytes: OnBytes | None
    total: int | None = None

    def __post_init__(self) -> None:
        self.part = part_of(self.target)
        self._facts = self.part.with_name(self.part.name + ".json")

    def complete(self) -> str:
        """Ask for the missing bytes until all are here; return the sha256 of the whole."""
        failures = 0
        while True:
            before = self._size()
            try:
                self._ask()
                return sha256_of(self.part)
            except Broken as broken:
                failures = 1 if self._size() > before else failures + 1
                if failures > len(self.patience.pauses):
                    raise self._given_up(broken, failures) from broken
                pause = self.patience.pauses[failures - 1]
                pause = max(pause, min(broken.retry_after, _LONGEST_PAUSE))
                self._report(self._size(), f"{broken}; trying again in {pause:.0f} s")
                time.sleep(pause)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                raise self._disk_full() from error

    def discard(self) -> None:
        """Delete what was received."""
        self.part.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)

    def publish(self) -> None:
        """Put the whole and checked file in place."""
        sync(self.part)
        self.part.replace(self.target)
        sync(self.target.parent)
        self._facts.unlink(missing_ok=True)

    def _ask(self) -> None:
        """Send one request and keep what it brings."""
        try:
            with self.source.open(self._size(), self._validator()) as answer:
                self._keep(answer)
        except Changed:
            self.discard()
            raise
        if self.total is not None and self._size() != self.total:
            raise Broken(
                f"{self.source.host} ended the connection after {in_words(self._size())} of "
                f"{in_words(self.total)}"
            )

    def _keep(self, answer: Answer) -> None:
        self.total = answer.total
        if answer.start == 0:
            self.discard()
        self._check_space(answer)
        if answer.start == 0:
            write_json(self._facts, {"validator": answer.validator})
        done = answer.start
        self._report(done)
        with self.part.open("ab") as file:
            for chunk in answer.chunks:
                file.write(chunk)
                done += len(chunk)
                self._report(done)

    def _check_space(self, answer: Answer) -> None:
        needed = (answer.total or answer.start) - answer.start + self.spare
        free = shutil.disk_usage(self.part.parent).free
        if needed > free:
            raise DownloadError(
                f"The model needs {in_words(needed)}, but only {in_words(free)} are free in "
                f"{self.part.parent}.",
                hint=MAKE_ROOM,
            )

    def _disk_full(self) -> DownloadError:
        received = self._size()
        # Pictures and results can't be kept on a full disk either; a download can be repeated.
        self.discard()
        return DownloadError(
            f"The disk of {self.part.parent} is full: the download stopped after {in_words(received)}, which "
            "were deleted again.",
            hint=MAKE_ROOM,
        )

    def _given_up(self, broken: Broken, failures: int) -> DownloadError:
        received = self._size()
        kept = f"The {in_words(received)} received so far are kept. " if received else ""
        return DownloadError(
            f"The download failed: {broken}. Tried {failures} times.", hint=kept + self.by_hand
        )

    def _report(self, done: int, note: str = "") -> None:
        if self.on_bytes is not None:
            self.on_bytes(done, self.total, note)

    def _size(self) -> int:
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def _validator(self) -> str | None:
        """Return what identifies the file that the received bytes are of, as its server named it."""
        try:
            validator = json.loads(self._facts.read_text(encoding="utf-8"))["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return validator if isinstance(validator, str) else None

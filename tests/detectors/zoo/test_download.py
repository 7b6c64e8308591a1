"""Downloads from a real local server that misbehaves in every way that a test can arrange."""

import hashlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_detector.detectors.zoo.download import Patience, fetch, in_words, part_of
from flask_detector.errors import DownloadError

WEIGHTS = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
HALF = len(WEIGHTS) // 2


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


@pytest.fixture
def download(server: Any, target: Path) -> Callable[..., None]:
    def run(url: str | None = None, **options: Any) -> None:
        usual: dict[str, Any] = {
            "sha256": SHA256[:8],
            "by_hand": "Bring it by hand.",
            "patience": Patience(timeout=0.5, pauses=(0.01, 0.01, 0.01)),
        }
        fetch(url or f"{server.url}/weights.pth", target, **(usual | options))

    return run


def test_a_file_arrives_whole_and_leaves_nothing_else(download: Any, target: Path) -> None:
    download()
    assert target.read_bytes() == WEIGHTS
    assert list(target.parent.iterdir()) == [target]


def test_progress_tells_the_bytes_and_the_total(download: Any) -> None:
    told: list[tuple[int, int | None, str]] = []
    download(on_bytes=lambda *state: told.append(state))
    assert told[0] == (0, len(WEIGHTS), "")
    assert told[-1] == (len(WEIGHTS), len(WEIGHTS), "")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


@pytest.mark.parametrize("digits", [8, 64])
def test_the_beginning_or_all_of_the_sha256_is_checked(download: Any, target: Path, digits: int) -> None:
    download(sha256=SHA256[:digits])
    assert target.exists()


@pytest.mark.parametrize("digits", [8, 64])
def test_wrong_bytes_are_deleted_and_both_checksums_named(
    download: Any, server: Any, target: Path, digits: int
) -> None:
    server.files["weights.pth"] = wrong = b"<html>Please log in</html>"
    with pytest.raises(DownloadError) as caught:
        download(sha256=SHA256[:digits])
    assert SHA256[:8] in caught.value.message
    assert hashlib.sha256(wrong).hexdigest()[:8] in caught.value.message
    assert list(target.parent.iterdir()) == []


def test_a_cut_connection_is_resumed_where_it_broke(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.faults = [faults.cut(1000), faults.cut(2000)]
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == [None, "bytes=1000-", "bytes=3000-"]


def test_tries_never_end_while_each_brings_bytes(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.faults = [faults.cut(1000)] * 20
    download()
    assert target.read_bytes() == WEIGHTS


def test_a_hanging_server_is_left_and_asked_again(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.faults = [faults.cut(1000, pause=2.0)]
    notes: list[str] = []
    download(patience=Patience(timeout=0.2, pauses=(0.01,)), on_bytes=lambda *state: notes.append(state[2]))
    assert target.read_bytes() == WEIGHTS
    assert "127.0.0.1 sent nothing for 0.2 s; trying again in 0 s" in notes


def test_server_errors_are_tried_again(download: Any, server: Any, faults: Any, target: Path) -> None:
    server.faults = [faults.answer(500), faults.answer(503), faults.answer(429)]
    download()
    assert target.exists()
    assert len(server.seen) == 4


def test_retry_after_is_waited_for(download: Any, server: Any, faults: Any) -> None:
    server.faults = [faults.answer(503, Retry_After="1")]
    notes: list[str] = []
    download(on_bytes=lambda *state: notes.append(state[2]))
    assert "127.0.0.1 returned 503 Service Unavailable; trying again in 1 s" in notes


def test_tries_end_when_none_brings_a_byte(download: Any, server: Any, faults: Any, target: Path) -> None:
    server.faults = [faults.cut(1000)] + [faults.answer(500)] * 9
    with pytest.raises(DownloadError) as caught:
        download()
    assert (
        caught.value.message
        == "The download failed: 127.0.0.1 returned 500 Internal Server Error. Tried 4 times."
    )
    assert caught.value.hint == "The 1.0 kB received so far are kept. Bring it by hand."
    assert len(server.seen) == 4
    assert not target.exists()


def test_tries_end_when_the_server_always_begins_anew_and_breaks(
    download: Any, server: Any, faults: Any
) -> None:
    server.ranges = False
    server.faults = [faults.cut(1000)] * 99
    with pytest.raises(DownloadError, match=r"ended the connection after 1\.0 kB of 1\.0 MB"):
        download()


def test_a_server_that_ignores_ranges_sends_all_again(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.ranges = False
    server.faults = [faults.cut(1000)]
    download()
    assert target.read_bytes() == WEIGHTS


def test_a_file_that_changed_on_the_server_is_begun_anew(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.files["weights.pth"] = b"\0" * len(WEIGHTS)
    server.faults = [faults.cut(1000)] + [faults.answer(500)] * 4
    with pytest.raises(DownloadError):
        download()
    server.faults, server.seen = [], []
    server.files["weights.pth"], server.identity = WEIGHTS, {"ETag": '"two"'}
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == ["bytes=1000-"]


@pytest.mark.parametrize("identity", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_strong_identity_nothing_is_resumed(
    download: Any, server: Any, faults: Any, target: Path, identity: dict[str, str]
) -> None:
    server.identity = identity
    server.faults = [faults.cut(1000)]
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == [None, None]


def test_last_modified_identifies_a_file_without_etag(download: Any, server: Any, faults: Any) -> None:
    server.identity = {"Last-Modified": "Mon, 04 May 2020 16:32:45 GMT"}
    server.faults = [faults.cut(1000)]
    download()
    assert server.ranges_seen() == [None, "bytes=1000-"]
    assert server.seen[1][1]["If-Range"] == "Mon, 04 May 2020 16:32:45 GMT"


def test_bytes_spoilt_on_the_disk_are_fetched_once_more(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.faults = [faults.cut(1000)] + [faults.answer(500)] * 4
    with pytest.raises(DownloadError):
        download()
    part_of(target).write_bytes(b"\0" * 1000)
    server.faults, server.seen = [], []
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == ["bytes=1000-", None]


def test_an_unfinished_file_that_has_all_bytes_is_only_checked(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.faults = [faults.cut(1000)] + [faults.answer(500)] * 4
    with pytest.raises(DownloadError):
        download()
    part_of(target).write_bytes(WEIGHTS)
    server.faults, server.seen = [], []
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == [f"bytes={len(WEIGHTS)}-"]


def test_an_unfinished_file_that_is_too_long_is_begun_anew(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.faults = [faults.cut(1000)] + [faults.answer(500)] * 4
    with pytest.raises(DownloadError):
        download()
    part_of(target).write_bytes(WEIGHTS + b"more")
    server.faults, server.seen = [], []
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == [f"bytes={len(WEIGHTS) + 4}-", None]


def test_a_file_that_became_shorter_meanwhile_is_begun_anew(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    def cut_and_shorten(handler: Any) -> None:
        faults.cut(1000)(handler)
        server.files["weights.pth"] = WEIGHTS[:500]

    server.faults = [cut_and_shorten]
    download(sha256=hashlib.sha256(WEIGHTS[:500]).hexdigest())
    assert target.read_bytes() == WEIGHTS[:500]
    assert server.ranges_seen() == [None, "bytes=1000-", None]


def test_another_part_than_asked_for_is_not_used(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.faults = [faults.cut(1000), faults.answer(206, Content_Range=f"bytes 0-9/{len(WEIGHTS)}")]
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == [None, "bytes=1000-", None]


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (403, "Forbidden"), (204, "No Content")])
def test_a_refusal_is_final_and_names_the_address(
    download: Any, server: Any, faults: Any, status: int, reason: str
) -> None:
    server.faults = [faults.answer(status)]
    with pytest.raises(DownloadError) as caught:
        download()
    assert caught.value.message == f"127.0.0.1 returned {status} {reason} for {server.url}/weights.pth."
    assert caught.value.hint == "Bring it by hand."
    assert len(server.seen) == 1


def test_redirects_are_followed_and_keep_the_range(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    server.files["elsewhere"] = WEIGHTS
    away = faults.answer(302, Location=f"{server.url}/elsewhere")
    server.faults = [away, faults.cut(1000), away]
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == [None, None, "bytes=1000-", "bytes=1000-"]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/weights.pth"])
def test_a_redirect_away_from_the_web_is_refused(
    download: Any, server: Any, faults: Any, target: Path, address: str
) -> None:
    server.faults = [faults.answer(302, Location=address)]
    with pytest.raises(DownloadError, match=re.escape(address)):
        download()
    assert not target.exists()


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://host/file", "weights.pth", "https://", "http://[::1"]
)
def test_only_addresses_of_web_servers_are_taken(download: Any, address: str) -> None:
    with pytest.raises(DownloadError, match="not the URL of a web server"):
        download(address)


def test_a_login_in_the_address_is_sent_but_never_shown(download: Any, server: Any, faults: Any) -> None:
    server.faults = [None, faults.answer(403)]
    address = server.url.replace("//", "//me:se%2Fcret@") + "/weights.pth"
    download(address)
    assert server.seen[0][1]["Authorization"] == "Basic bWU6c2UvY3JldA=="
    with pytest.raises(DownloadError) as caught:
        download(address)
    assert "cret" not in str(caught.value)


def test_a_login_is_not_sent_on_to_where_a_redirect_leads(download: Any, server: Any, faults: Any) -> None:
    server.faults = [faults.answer(302, Location=f"{server.url}/weights.pth")]
    download(server.url.replace("//", "//me:secret@") + "/first")
    assert ["Authorization" in headers for _, headers in server.seen] == [True, False]


def test_the_proxy_of_the_environment_is_used(
    download: Any, server: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    download("http://models.invalid/weights.pth")
    assert target.read_bytes() == WEIGHTS
    assert server.seen[0][0] == "http://models.invalid/weights.pth"


def test_a_proxy_that_wants_a_login_is_named(
    download: Any, server: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.faults = [faults.answer(407)]
    with pytest.raises(DownloadError, match=r"The proxy 127\.0\.0\.1:\d+ returned 407"):
        download("http://models.invalid/weights.pth")


def test_a_proxy_that_is_down_is_named(download: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("https_proxy", f"http://me:secret@{proxy}")
    with pytest.raises(DownloadError) as caught:
        download("https://models.invalid/weights.pth")
    assert caught.value.message == (
        "The download failed: models.invalid can't be reached through the proxy "
        f"{proxy} (Connection refused). Tried 4 times."
    )


def test_without_a_network_the_message_names_the_host(download: Any) -> None:
    with pytest.raises(
        DownloadError, match=r"models\.invalid can't be reached \(.+\)\. Tried 4 times"
    ) as caught:
        download("https://models.invalid/weights.pth")
    assert caught.value.hint == "Bring it by hand."


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_server_without_a_proper_certificate_is_refused_at_once(download: Any, tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
    command += ["-keyout", str(certificate), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    connections = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connections.append(connection)
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with pytest.raises(DownloadError, match="certificate of localhost can't be verified") as caught:
            download(f"https://localhost:{listener.getsockname()[1]}/weights.pth")
        thread.join()
    assert "SSL_CERT_FILE" in caught.value.hint
    assert len(connections) == 1


def test_too_little_room_is_told_before_anything_is_received(
    download: Any, server: Any, target: Path
) -> None:
    def promise_too_much(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**18))
        handler.end_headers()

    server.faults = [promise_too_much]
    with pytest.raises(DownloadError, match=r"needs 1000000000\.0 GB, but only \d.* are free in") as caught:
        download()
    assert "DETECTOR_DATA_DIR" in caught.value.hint
    assert not target.exists()
    assert not part_of(target).exists()


FETCH = """
import sys
from pathlib import Path
from flask_detector.detectors.zoo.download import fetch
from flask_detector.errors import DownloadError
url, target, sha256 = sys.argv[1:]
try:
    fetch(url, Path(target), sha256=sha256, by_hand="")
except DownloadError as error:
    print(error)
print([file.name for file in Path(target).parent.iterdir()])
"""


@pytest.fixture
def fetch_on_a_small_disk(server: Any, tmp_path: Path) -> Callable[[], str]:
    """Fetch in a process that sees a disk of half the size that is needed."""
    folder = tmp_path / "small"
    folder.mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size={HALF} none '{folder}'"
    if shutil.which("unshare") is None or subprocess.run([*alone, mount], check=False).returncode:
        pytest.skip("needs the right to mount a small disk in a user namespace")

    def run() -> str:
        command = [*alone, f'{mount} && exec "$@"', "sh", sys.executable, "-c", FETCH]
        command += [f"{server.url}/weights.pth", str(folder / "weights.pth"), SHA256]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


def test_a_disk_that_is_too_small_is_told_with_both_numbers(fetch_on_a_small_disk: Any) -> None:
    told = fetch_on_a_small_disk()
    assert re.search(r"The model needs 1\.0 MB, but only 5\d\d\.\d kB are free in", told)
    assert told.endswith("[]\n")


def test_the_room_that_must_stay_free_counts_too(download: Any, server: Any) -> None:
    with pytest.raises(DownloadError, match=r"The model needs 1000000000\.0 GB"):
        download(spare=10**18)
    download(spare=1)


def test_a_disk_that_becomes_full_is_told_and_freed(
    fetch_on_a_small_disk: Any, server: Any, faults: Any
) -> None:
    server.faults = [faults.of_unknown_size()]
    told = fetch_on_a_small_disk()
    assert re.search(r"is full: the download stopped after 5\d\d\.\d kB, which were deleted again", told)
    assert told.endswith("[]\n")


def test_a_limit_on_the_size_of_files_counts_as_a_full_disk(server: Any, target: Path) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({HALF}, {HALF}))"
    command = [sys.executable, "-c", limit + FETCH, f"{server.url}/weights.pth", str(target), SHA256]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "is full: the download stopped after 524.3 kB, which were deleted again" in told
    assert told.endswith("[]\n")


def test_a_file_of_unknown_size_arrives_too(download: Any, server: Any, faults: Any, target: Path) -> None:
    server.faults = [faults.of_unknown_size()]
    told: list[tuple[int, int | None, str]] = []
    download(on_bytes=lambda *state: told.append(state))
    assert target.read_bytes() == WEIGHTS
    assert told[-1] == (len(WEIGHTS), None, "")


def test_an_interruption_leaves_what_the_next_call_resumes(
    download: Any, server: Any, faults: Any, target: Path
) -> None:
    def interrupt(done: int, total: int | None, note: str) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(on_bytes=interrupt)
    received = part_of(target).stat().st_size
    assert received >= HALF
    assert not target.exists()
    download()
    assert target.read_bytes() == WEIGHTS
    assert server.ranges_seen() == [None, f"bytes={received}-"]


@pytest.mark.parametrize(
    ("count", "words"),
    [(512, "512 bytes"), (12_345, "12.3 kB"), (178_090_079, "178.1 MB"), (2 * 10**9, "2.0 GB")],
)
def test_sizes_read_well(count: int, words: str) -> None:
    assert in_words(count) == words

"""What camera programs wait for beyond the model's own time: DeepStack's route with several clients at once.

Clients with a connection each send a picture again and again to an installation that runs with one worker and
the embedded model. Beside them, in the same run and in turns, as many threads with nothing between them and
one detector, which they take turns at as the clients do at one worker. The service's share is the difference.

    DETECTOR_MODEL=nanodet-g flask-detector serve
    python benchmarks/clients.py PICTURE [--clients 4] [--number 40] [--address 127.0.0.1:5000]
"""

import argparse
import http.client
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask_detector import load_detector
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits

_ROUNDS = 4


def main() -> None:
    """Run the measurement and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--clients", type=int, default=4, help="how many send at once")
    parser.add_argument("--number", type=int, default=40, help="how many pictures each sends in all")
    parser.add_argument("--address", default="127.0.0.1:5000", help="of the installation")
    options = parser.parse_args()
    data: bytes = options.picture.read_bytes()
    detector, lock = load_detector("nanodet-g"), threading.Lock()
    picture, _ = decode.decode(data, Limits(100_000_000, 100_000_000))

    def bare(_: http.client.HTTPConnection) -> None:
        with lock:
            detector.detect(picture)

    def deepstack(connection: http.client.HTTPConnection) -> None:
        connection.request("POST", "/v1/vision/detection", data, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        if b'"success":true' not in answer.read():
            raise SystemExit(f"{options.address} answers {answer.status}")

    ways = {"bare": bare, "deepstack": deepstack}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in (1, *[options.number // _ROUNDS] * _ROUNDS):
        for way, once in ways.items():
            found = run(once, options.clients, number, options.address)
            times[way] += found if number > 1 else []  # the first one of each warms up
    print(f"{options.clients} clients, milliseconds   p50     p99")
    for way, seconds in times.items():
        print(f"{way:>22} {row(seconds)}")
    print(f"{'the difference':>22} {row(times['deepstack'], less=times['bare'])}")


def run(
    once: Callable[[http.client.HTTPConnection], None], clients: int, number: int, address: str
) -> list[float]:
    """Let clients send that many pictures each at once; return the seconds that each picture took."""

    def client(_: int) -> list[float]:
        connection, seconds = http.client.HTTPConnection(address, timeout=60), []
        for _ in range(number):
            start = time.perf_counter()
            once(connection)
            seconds.append(time.perf_counter() - start)
        connection.close()
        return seconds

    with ThreadPoolExecutor(clients) as pool:
        return [one for seconds in pool.map(client, range(clients)) for one in seconds]


def row(seconds: list[float], *, less: list[float] | None = None) -> str:
    """Return median and 99th percentile, less those of other times."""
    base = [0.0, 0.0] if less is None else quantiles(less)
    return " ".join(
        f"{(one - other) * 1000:7.1f}" for one, other in zip(quantiles(seconds), base, strict=True)
    )


def quantiles(seconds: list[float]) -> list[float]:
    """Return median and 99th percentile."""
    percent = statistics.quantiles(seconds, n=100, method="inclusive")
    return [percent[49], percent[98]]


if __name__ == "__main__":
    main()

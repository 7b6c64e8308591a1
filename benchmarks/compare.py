"""This checkout's installation beside another checkout's, in one run, to see whether figures have changed.

    python -m benchmarks.compare OTHER ../shared [--rounds 5] [--number 200] [--clients 8]

In each round first the one and then the other starts with the embedded model and an empty data folder,
detects pictures of COCO's size for several clients at once, and then one of 24 megapixels, which is fetched
drawn. Printed are the medians over the rounds, this checkout's divided by the other's, and the largest figure
of either divided by its smallest: ratios nearer to 1 than that are noise. Each runs with the Python of its
own .venv where it has one, else with this one. Only HTTP and /proc are used: the other may be of any version.
"""

import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from benchmarks import results
from benchmarks.installation import installation
from benchmarks.memory import detect, sampled, sent_pictures, total, watch
from flask_detector import Client

HERE = Path(__file__).parents[1]


def main() -> None:
    """Let both take turns, and print their figures side by side."""
    parser = results.arguments(__doc__)
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("shared", type=Path, help="the folder with pictures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--number", type=int, default=200, help="how many pictures each round")
    parser.add_argument("--clients", type=int, default=8, help="how many clients send at once")
    options = parser.parse_args()
    small = (options.shared / "coco_val50" / "images" / "000000006818.jpg").read_bytes()
    (large,) = sent_pictures(options.shared, 1, "jpeg")
    found: dict[Path, list[dict[str, float]]] = {options.other.resolve(): [], HERE: []}
    for number in range(options.rounds):
        for checkout, rounds in found.items():
            rounds.append(measured(checkout, small, large, options.number, options.clients))
            print(f"{number + 1} {checkout}", file=sys.stderr)
    other, here = found.values()
    print(f"{'':34}{'other':>10}{'here':>10}{'ratio':>8}{'spread':>9}")
    for what in here[0]:
        before, after = ([one[what] for one in rounds] for rounds in (other, here))
        ratio = statistics.median(after) / statistics.median(before)
        spread = max(max(v) / min(v) for v in (before, after))
        print(
            f"{what:34}{statistics.median(before):10.1f}{statistics.median(after):10.1f}"
            f"{ratio:8.2f}{spread:9.2f}"
        )


def measured(checkout: Path, small: bytes, large: bytes, number: int, clients: int) -> dict[str, float]:
    """Return the figures of one round of a checkout."""
    own = checkout / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    settings = {"DETECTOR_MODEL": "nanodet-g", "DETECTOR_RATE_LIMIT": "off"}
    settings["PYTHONPATH"] = str(checkout / "src")
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        open(Path(folder) / "log", "wb") as log,
        installation(Path(folder), log, python=python, **settings) as (pid, port),
    ):
        figures = {"seconds until ready": time.perf_counter() - began}
        detect(port, small)
        figures["memory at rest, MB"] = total(sampled(pid))
        spent, start = cpu_of(pid), time.perf_counter()
        client = Client(f"http://127.0.0.1:{port}")
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda _: client.detect(small), range(number)))
        figures["pictures a second"] = number / (time.perf_counter() - start)
        figures["processor time a picture, ms"] = 1000 * (cpu_of(pid) - spent) / number
        samples: list[dict[str, float]] = []
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(pid, samples, done))
        watcher.start()
        detect(port, large)
        done.set()
        watcher.join()
        figures["peak memory, 24 megapixels, MB"] = max(map(total, samples))
    return figures


def cpu_of(pid: int) -> float:
    """Return the processor time that a process and its descendants have taken, in seconds."""
    process = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in [process, *process.children(recursive=True)])


if __name__ == "__main__":
    main()

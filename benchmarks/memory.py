"""What the whole installation needs in memory: Redis, supervisor, web and one worker, for each model.

Starts an installation of its own and sends pictures over HTTP one after another, as a browser would: upload,
wait for the end, fetch the page's picture, the drawn one at full size, and the small copy. One of them is a
photograph of 24 megapixels. The processes are sampled meanwhile; printed is each one's proportional set size
(PSS) where the sum of all was highest, beside the sum at rest before and after:

    python -m benchmarks.memory ../shared [--number 50] [--model nanodet-g] [--model rtmdet-ins] …

With `--large FORMAT`, once or several times, the photograph comes in those formats, with `--large all` in
each that there is, and every one in an installation of its own; a table has a line for each.

The argument is the folder with pictures and the synthetic weights that stand in for those of Mask R-CNN and
of RTMDet-Ins s. Linux only: the numbers are those of /proc/*/smaps_rollup.
"""

import http.client
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import ExifTags, Image

from benchmarks import results
from benchmarks.installation import fetch, installation
from tests.support.pictures import encoded
from tests.support.weights import Arrays, mask_rcnn_weights, rtmdet_weights, write_safetensors

LIMITS = {"nanodet-g": 256, "rtmdet-ins": 512, "mask-rcnn": 512}

# Models that are added, by the synthetic weights that stand in for theirs.
WEIGHTS: dict[str, Callable[[Path], Arrays]] = {
    "rtmdet-ins": lambda shared: rtmdet_weights(shared, "s"),
    "mask-rcnn": lambda shared: mask_rcnn_weights(shared, "torchvision/maskrcnn_resnet50_fpn"),
}

LARGE = (6000, 4000)

_SAMPLES_PER_SECOND = 50

Sample = dict[str, float]


def with_alpha(image: Image.Image) -> Image.Image:
    """Return an image that is in part transparent."""
    image = image.copy()
    image.putalpha(image.getchannel("R"))
    return image


def turned() -> Image.Exif:
    """Return the metadata of a picture that was taken upright."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return exif


def heic(image: Image.Image) -> bytes:
    """Return an image as a HEIC file."""
    from pillow_heif import from_pillow

    file = io.BytesIO()
    from_pillow(image).save(file, quality=80, enc_params={"preset": "ultrafast"})
    return file.getvalue()


# All are smaller than the 25 MB that an upload may have; a TIFF or BMP without compression has 72.
LARGE_FORMATS: dict[str, Callable[[Image.Image], bytes]] = {
    "jpeg": lambda image: encoded(image, "JPEG", quality=92),
    "jpeg-progressive": lambda image: encoded(image, "JPEG", quality=92, progressive=True),
    "jpeg-turned": lambda image: encoded(image, "JPEG", quality=92, exif=turned()),
    "jpeg-cmyk": lambda image: encoded(image.convert("CMYK"), "JPEG", quality=92),
    "png": lambda image: encoded(image, "PNG", compress_level=1),
    "png-turned": lambda image: encoded(image, "PNG", compress_level=1, exif=turned()),
    "png-alpha": lambda image: encoded(with_alpha(image), "PNG", compress_level=1),
    "png-palette": lambda image: encoded(image.quantize(256), "PNG", compress_level=1),
    "png-grey-16": lambda image: encoded(image.convert("L").convert("I;16"), "PNG", compress_level=1),
    "tiff": lambda image: encoded(image, "TIFF", compression="tiff_adobe_deflate"),
    "webp": lambda image: encoded(image, "WEBP", quality=90, method=0),
    "webp-lossless": lambda image: encoded(image, "WEBP", lossless=True, quality=0, method=0),
    "heic": heic,
    "avif": lambda image: encoded(image, "AVIF", quality=80, speed=10),
    "gif": lambda image: encoded(image.quantize(256), "GIF"),
    "bmp-palette": lambda image: encoded(image.quantize(256), "BMP"),
}


def main() -> None:
    """Measure the models and print a table for each."""
    parser = results.arguments(__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--number", type=int, default=50, help="how many pictures")
    parser.add_argument("--model", choices=LIMITS, action="append", help="instead of all")
    parser.add_argument(
        "--large", choices=[*LARGE_FORMATS, "all"], action="append", help="formats of the large picture"
    )
    options = parser.parse_args()
    large = options.large or ["jpeg"]
    formats = list(LARGE_FORMATS) if "all" in large else list(dict.fromkeys(large))
    figures: results.Figures = {}
    for model in options.model or LIMITS:
        if len(formats) > 1:
            print(f"\n{model}: megabytes (PSS), each process at its own peak; {LIMITS[model]} are wanted")
            print(f"{'':18}{'file':>8}{'web':>8}{'worker':>8}{'sum':>8}")
        for name in formats:
            pictures = sent_pictures(options.shared, options.number, name)
            with tempfile.TemporaryDirectory() as folder:
                if model in WEIGHTS:
                    add_weights(model, options.shared, Path(folder))
                measurement = measured(model, Path(folder), pictures)
            peak = {"peak": total(measurement.peak)}
            if len(formats) > 1:
                report_line(name, max(map(len, pictures)), measurement)
                figures[f"{model}, {name}"] = peak
            else:
                report(model, measurement)
                figures[model] = {"rest": total(measurement.before), **peak}
    if options.record:
        name, more = ("memory-formats", " --large all") if len(formats) > 1 else ("memory", "")
        results.record(name, f"python -m benchmarks.memory ../shared{more}", figures)


def sent_pictures(shared: Path, number: int, large: str) -> list[bytes]:
    """Return that many files: the reference pictures in turn, and one of 24 megapixels in the middle.

    large: the key of LARGE_FORMATS that says what that one is.
    """
    files = sorted((shared / "pictures").glob("*.jpg"))
    pictures = [file.read_bytes() for file in itertools.islice(itertools.cycle(files), number)]
    with Image.open(files[0]) as image:
        photograph = image.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
    pictures[number // 2] = LARGE_FORMATS[large](photograph)
    return pictures


def add_weights(model: str, shared: Path, folder: Path) -> None:
    """Add the synthetic weights as a model of the installation's own."""
    weights = folder / "weights.safetensors"
    write_safetensors(weights, WEIGHTS[model](shared))
    command = [sys.executable, "-m", "flask_detector", "models", "add", model, str(weights)]
    subprocess.run(command, env={**os.environ, "DETECTOR_DATA_DIR": str(folder)}, check=True)
    weights.unlink()


@dataclass
class Measurement:
    """What was seen: the processes at rest before and after, and each sample of the run."""

    before: Sample = field(default_factory=dict)
    after: Sample = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    @property
    def peak(self) -> Sample:
        """The sample with the highest sum."""
        return max(self.samples, key=total)


def measured(model: str, folder: Path, pictures: list[bytes]) -> Measurement:
    """Run an installation with that model and send it the pictures."""
    measurement = Measurement()
    with installation(folder, DETECTOR_MODEL=model) as (pid, port):
        detect(port, pictures[0])
        measurement.before = sampled(pid)
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(pid, measurement.samples, done))
        watcher.start()
        try:
            for picture in pictures:
                detect(port, picture)
        finally:
            done.set()
            watcher.join()
        time.sleep(5)
        measurement.after = sampled(pid)
    return measurement


def watch(pid: int, samples: list[Sample], done: threading.Event) -> None:
    """Sample the processes until the event is set."""
    while not done.wait(1 / _SAMPLES_PER_SECOND):
        samples.append(sampled(pid))


def sampled(supervisor: int) -> Sample:
    """Return the PSS of the supervisor and its descendants by what they do, in megabytes (10^6 bytes)."""
    found: Sample = {}
    waiting = [supervisor]
    while waiting:
        pid = waiting.pop()
        try:
            found_pss = pss(pid)
            name = what(pid, supervisor)
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, StopIteration):  # it has ended meanwhile
            continue
        found[name] = found.get(name, 0.0) + found_pss
    return found


def pss(pid: int) -> float:
    """Return a process's proportional set size in megabytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024 / 1e6


def what(pid: int, supervisor: int) -> str:
    """Return what a process of the installation does."""
    if pid == supervisor:
        return "supervisor"
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    if "flask_detector.imaging.isolated" in words:
        return "decoding"
    return "redis" if "redis" in Path(words[0]).name else next(w for w in ("worker", "web") if w in words)


def total(sample: Sample) -> float:
    """Return the sum over all processes."""
    return sum(sample.values())


def report(model: str, measurement: Measurement) -> None:
    """Print the table of one model."""
    columns = {"before": measurement.before, "at the peak": measurement.peak, "after": measurement.after}
    print(f"\n{model}: megabytes (PSS), {len(measurement.samples)} samples")
    print(f"{'':12}" + "".join(f"{head:>14}" for head in columns))
    for name in measurement.peak:
        print(f"{name:12}" + "".join(f"{sample.get(name, 0.0):14.0f}" for sample in columns.values()))
    print(f"{'sum':12}" + "".join(f"{total(sample):14.0f}" for sample in columns.values()))
    print(f"at most {LIMITS[model]} MB are wanted", flush=True)


def report_line(name: str, size: int, measurement: Measurement) -> None:
    """Print one line of the table of formats."""
    most = [max(sample.get(part, 0.0) for sample in measurement.samples) for part in ("web", "worker")]
    numbers = [size / 1e6, *most, total(measurement.peak)]
    print(f"{name:18}" + "".join(f"{number:8.0f}" for number in numbers), flush=True)


def detect(port: int, picture: bytes) -> None:
    """Do with one picture what a browser does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Content-Type": "application/octet-stream"}
    id = json.loads(fetch(connection, "POST", "/api/v1/detections", picture, headers))["id"]
    events = fetch(connection, "GET", f"/detections/{id}/events")
    if b'"done"' not in events:
        raise SystemExit(f"a detection failed: {events!r}")
    for path in ("", "/picture", "/download", "/thumbnail"):
        fetch(connection, "GET", f"/detections/{id}{path}")
    connection.close()


if __name__ == "__main__":
    main()

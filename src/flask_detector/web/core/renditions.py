"""Files made from a picture and its result on demand: copies, drawings, crops, exports."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image

from flask_detector.errors import BadParameter, StorageUnavailable
from flask_detector.formats import Format
from flask_detector.formats.file_names import LONGEST_SHOWN, safe_stem
from flask_detector.imaging import decode, encode, sniff
from flask_detector.imaging.limits import Limits
from flask_detector.jobs.records import Record
from flask_detector.process.memory import give_back_code, give_back_unused
from flask_detector.structures import boxes
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap
from flask_detector.visualization import annotate, colors
from flask_detector.web.core.service import Service
from flask_detector.web.core.view import View

# What the drawn picture can be asked for as, besides the format of the upload.
OUTPUTS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}

Make = Callable[[bytes, Limits], bytes]

_FOR_BROWSER = "browser"
_THUMBNAIL = "thumbnail"
_THUMBNAIL_SIDE = 320

# A page of many small pictures asks for all of them at once: they are made faster than this.
_PATIENCE_SECONDS = 0.5

_FEW_AT_A_TIME = threading.BoundedSemaphore(2)
# One of 24 megapixels takes 20 to 240 MB meanwhile, as its format lets.
_ONE_LARGE_AT_A_TIME = threading.Lock()
_LARGE_PICTURE = 6_000_000


@dataclass(frozen=True)
class File:
    """Bytes to send, what they are, and what a downloaded file of them is called."""

    data: bytes
    media_type: str
    name: str


def picture(service: Service, record: Record) -> File:
    """Return the picture upright, in a format that every browser shows, without its metadata."""
    return _kept(service, record, _FOR_BROWSER, lambda data, limits: encode.transcode(data, limits, None)[0])


def thumbnail(service: Service, record: Record) -> File:
    """Return a small copy of the picture, made once."""
    return _kept(service, record, _THUMBNAIL, small_copy)


def small_copy(data: bytes, limits: Limits) -> bytes:
    """Return a picture's small copy, a JPEG file. Raises what `decode.load` raises."""
    pixels, info = decode.load(data, limits, max_side=2 * _THUMBNAIL_SIDE)
    scale = min(1.0, _THUMBNAIL_SIDE / max(info.width, info.height))
    width, height = max(1, round(info.width * scale)), max(1, round(info.height * scale))
    small = pixels.resized(width, height, Image.Resampling.BICUBIC)
    return encode.encode(small, "JPEG", quality=80, icc_profile=info.icc_profile)


def drawn(
    service: Service, record: Record, view: View, *, output: str | None = None, for_browser: bool = False
) -> File:
    """Return the picture at full size with what is shown of the result drawn on it.

    output: a key of OUTPUTS; None for the format of the upload, if that can be (`encode.output_format`).
    for_browser: in a format that every browser shows instead.
    """
    if output is not None and output not in OUTPUTS:
        raise BadParameter(f"format is {output[:20]!r}.", hint=f"It must be one of {', '.join(OUTPUTS)}.")
    found, shown_score = service.jobs.result(record.id, corrected=view.corrected)
    drawing = annotate.Drawing(
        view.of_result(found, shown_score),
        show_boxes="boxes" not in view.hide,
        show_labels="labels" not in view.hide,
        show_masks="masks" not in view.hide,
        colours=colors.colours_of(found.class_ids.tolist()),
    )
    original = service.original(record.id)
    kind: str | None
    if for_browser:
        kind = None
    elif output is None:
        kind = sniff.format_of(original)
    else:
        kind = OUTPUTS[output]
    with turn(service, original):
        data, media_type = encode.transcode(original, service.limits, kind, drawing.draw_on)
        give_back_code()
    return File(data, media_type, _named(record, f".{suffix_of(media_type)}", before="detected_"))


def export(service: Service, record: Record, view: View, export_format: Format) -> File:
    """Return what is shown of the result as a file of that format."""
    shown = view.of_result(*service.jobs.result(record.id, corrected=view.corrected))
    data = export_format.write(shown, record.filename)
    return File(data, export_format.media_type, _named(record, export_format.suffix))


def cutout(service: Service, record: Record, number: int, *, corrected: bool = True) -> File | None:
    """Return one instance as a PNG of its box, transparent outside its mask; None if there is no such one.

    number: its place among all that was found, best score first, from 0. Without a mask, or where that is
    empty, the whole box is kept.
    """
    found, _ = service.jobs.result(record.id, corrected=corrected)
    if number >= len(found):
        return None
    original = service.original(record.id)
    with turn(service, original):
        pixels, _ = decode.load(original, service.limits)
        data = encode.cut_out(pixels, *_part_of(found, number))
    label = safe_stem(found.labels[int(found.class_ids[number])].replace(" ", "_"))
    return File(data, "image/png", _named(record, f"_{label[:100]}_{number + 1}.png"))


def suffix_of(media_type: str) -> str:
    """Return how the name of a picture of that type ends, without the dot."""
    return media_type.partition("/")[2].replace("jpeg", "jpg")


def _part_of(found: Detections, number: int) -> tuple[tuple[int, int, int, int], Bitmap | None]:
    """Return left, top, right and bottom of an instance, and which pixels (H, W) of that are its own."""
    mask = None if found.masks is None else found.masks[number]
    if mask is None or mask.area == 0:
        x1, y1, x2, y2 = found.boxes[number].tolist()
        return boxes.pixels_of((x1, y1, x2, y2), width=found.width, height=found.height), None
    return (mask.x, mask.y, mask.x + mask.width, mask.y + mask.height), mask.bitmap()


def place(service: Service) -> AbstractContextManager[None]:
    """Hold a place for drawing within the block; raises ServiceError where none is free.

    Each drawing keeps a thread busy: a few dozen of large pictures would keep all of them.
    """
    return service.drawing.held("Too many pictures are being drawn.", patience=_PATIENCE_SECONDS)


def collected(service: Service, collection: str, id: str) -> File:
    """Return a picture of a collection as `picture` does one of a detection."""
    entry = service.pictures.entry(collection, id)
    original = service.pictures.picture(collection, id)
    with turn(service, original):
        data, media_type = encode.transcode(original, service.limits, None)
    return File(data, media_type, entry.file_name)


def collected_original(service: Service, collection: str, id: str) -> File:
    """Return a picture of a collection as it was sent."""
    entry = service.pictures.entry(collection, id)
    original = service.pictures.picture(collection, id)
    media_type = sniff.media_type(sniff.format_of(original[: sniff.HEAD_BYTES]) or "JPEG")
    return File(original, media_type, entry.file_name)


def collected_thumbnail(service: Service, collection: str, id: str) -> File:
    """Return a small copy of a picture of a collection, made once."""

    def make(original: bytes) -> bytes:
        with turn(service, original):
            return small_copy(original, service.limits)

    return File(service.pictures.thumbnail(collection, id, make), "image/jpeg", id)


@contextmanager
def turn(service: Service, original: bytes) -> Iterator[None]:
    """Wait until there is room for the picture; raises as `place` and `decode.check` do."""
    with place(service), _FEW_AT_A_TIME:
        info = decode.check(original, service.limits)
        is_large = info.width * info.height > _LARGE_PICTURE
        with _ONE_LARGE_AT_A_TIME if is_large else nullcontext():
            yield
            give_back_unused()
            if is_large:
                give_back_code()


def _kept(service: Service, record: Record, name: str, make: Make) -> File:
    try:
        data = service.storage.get(record.id, name)
    except FileNotFoundError:
        original = service.original(record.id)
        with turn(service, original):
            data = make(original, service.limits)
        with suppress(StorageUnavailable):  # it can be shown all the same when the disk is full
            service.storage.put(record.id, name, io.BytesIO(data))
    return File(data, sniff.media_type(sniff.format_of(data) or "JPEG"), record.filename)


def stem_of(record: Record) -> str:
    """Return the name of the picture's file without its ending."""
    return PurePosixPath(record.filename).stem


def _named(record: Record, ending: str, *, before: str = "") -> str:
    """Return what a file made of the picture is called; a long name loses the end of its own part."""
    room = LONGEST_SHOWN - len(before) - len(ending)
    return f"{before}{stem_of(record)[:room]}{ending}"

"""Query parameters, headers, form fields and JSON of a request, validated; errors name the field."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from werkzeug.datastructures import MultiDict

from flask_detector.detectors import AUTO
from flask_detector.errors import BadParameter
from flask_detector.jobs.history import CURSOR
from flask_detector.structures.detections import MaskEncoding
from flask_detector.web.core.request_bodies import checked_json

Model = TypeVar("Model", bound=BaseModel)

_LONGEST_LIST = 100

# Of a JSON body, also of what stands within its texts: an error is made for each key that is not known.
_MOST_KEYS = 5000
_MOST_VALUES = 10_000


def _split(value: Any) -> Any:
    """Return a list of what stands between commas, of one text or of several."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return [word.strip(" ") for part in value for word in part.split(",")]
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_LABELS = "The only labels to keep, separated by commas or as a list"
Labels = Annotated[
    list[Annotated[str, Field(pattern="[^, ]", max_length=10_000)]],
    BeforeValidator(_listed),
    Field(min_length=1, max_length=_LONGEST_LIST),
]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s]+$")]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]


class Strict(BaseModel):
    """A set of parameters; an unknown one is refused, since it is probably a typo."""

    model_config = ConfigDict(extra="forbid")


class LabelsQuery(Strict):
    """Whose labels to list."""

    model: Annotated[str, Field(description="A model's name; `auto` for the default.", max_length=200)] = AUTO


class ModelQuery(Strict):
    """What a custom model's weights file does not say."""

    filename: Annotated[str, Field(description="What the file is called, for messages.", max_length=200)] = (
        "weights"
    )
    variant: Annotated[
        str | None, Field(description="Whose network it is, if the file doesn't tell.", max_length=40)
    ] = None
    labels: Annotated[
        list[str],
        BeforeValidator(_split),
        Field(description="The classes' names, separated by commas, in the order of the training."),
    ] = []
    option: Annotated[
        list[str],
        BeforeValidator(_listed),
        Field(description="NAME=VALUE, as in torchvision's constructor, or of ONNX; may be repeated."),
    ] = []


class ModelFiles(Strict):
    """The files of a model, where there are several."""

    file: Annotated[
        list[Annotated[str, Field(json_schema_extra={"format": "binary"})]],
        Field(description="The files, by their own names, in fields of any name."),
    ]


class Options(LabelsQuery):
    """How to detect objects in a picture."""

    min_score: Annotated[
        Score | None, Field(description="The minimum score; the model's own by default.")
    ] = None
    classes: Annotated[Labels | None, Field(description=f"{_LABELS}; all by default.")] = None
    masks: Annotated[
        MaskEncoding, Field(description="How masks are sent: COCO's run lengths, polygons, or not at all.")
    ] = "rle"
    callback_url: Annotated[
        Url | None, Field(description="The URL of a webhook to call when it is done or has failed.")
    ] = None
    idempotency_key: Annotated[
        IdempotencyKey | None, Field(description="The same as the header Idempotency-Key.")
    ] = None


class UrlOptions(Options):
    """The options of a form."""

    url: Annotated[Url | None, Field(description="The URL of a picture, where the settings allow that.")] = (
        None
    )


class MultipartPictures(UrlOptions):
    """A form with one picture or several: several make a batch."""

    picture: Annotated[
        list[Annotated[str, Field(json_schema_extra={"format": "binary"})]] | None,
        Field(description="The files, in fields of any name."),
    ] = None


class JsonPicture(UrlOptions):
    """A picture in JSON: `image` or `url`."""

    image: Annotated[str | None, Field(description="The picture in base64, or as a data: URL.")] = None
    filename: Annotated[str | None, Field(description="The picture's file name.", max_length=1000)] = None


_Prefer = Annotated[
    str | None,
    Field(
        alias="Prefer",
        description="`wait=SECONDS`: respond once it has ended, at most so much later (RFC 7240).",
    ),
]


class SendHeaders(BaseModel):
    """The headers of a request that sends a picture."""

    prefer: _Prefer = None
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Field(
            alias="Idempotency-Key",
            description="Any text of yours: requests with the same key create one detection.",
        ),
    ] = None


class FileHeaders(BaseModel):
    """The headers of a request for a file."""

    if_none_match: Annotated[
        str | None, Field(alias="If-None-Match", description="An ETag: 304 where nothing has changed since.")
    ] = None


class WaitHeaders(FileHeaders):
    """The headers of a request for a detection."""

    prefer: _Prefer = None


class ResultQuery(Strict):
    """Which of the two states of a result to show."""

    corrected: Annotated[
        bool, Field(description="False for what the model said, where a person has corrected the result.")
    ] = True


class ShowQuery(ResultQuery):
    """How to show a detection."""

    masks: Annotated[
        MaskEncoding | None,
        Field(description="How masks are sent; by default as the picture's sender asked."),
    ] = None


class MasksQuery(Strict):
    """How to show the annotations of a picture."""

    masks: Annotated[MaskEncoding, Field(description="How masks are sent.")] = "rle"


class AnnotationsQuery(MasksQuery):
    """How to show the annotations of a detection."""

    min_score: Annotated[
        Score | None,
        Field(description="The minimum score of what the model said; that of the detection by default."),
    ] = None


class AnnotationHeaders(BaseModel):
    """The headers of a request that changes annotations."""

    if_match: Annotated[
        str, Field(alias="If-Match", description="The ETag of the version to replace; `*` for any.")
    ]


class ExportQuery(ResultQuery):
    """What to export of a result."""

    min_score: Annotated[
        Score | None, Field(description="The minimum score; that of the detection by default.")
    ] = None
    classes: Annotated[Labels | None, Field(description=f"{_LABELS}.")] = None


class DrawnQuery(ExportQuery):
    """What to draw of a result."""

    show: Annotated[
        Annotated[list[Literal["boxes", "masks", "labels"]], BeforeValidator(_split)] | None,
        Field(description="What to draw of each object; everything by default."),
    ] = None


class ListQuery(Strict):
    """Which page of a list to return."""

    limit: Annotated[int, Field(ge=1, le=100, description="The page size.")] = 20
    cursor: Annotated[
        str | None, Field(description="`next_cursor` of the previous page.", pattern=CURSOR)
    ] = None


def from_fields(kind: type[Model], *fields: MultiDict[str, str]) -> Model:
    """Return the parameters that query strings and form fields give; later ones come before earlier ones.

    Raises BadParameter.
    """
    given: dict[str, Any] = {}
    for source in fields:
        for name, texts in source.lists():
            given[name] = texts[0] if len(texts) == 1 else texts
    return checked(kind, given)


def checked(kind: type[Model], given: dict[str, Any]) -> Model:
    """Return the parameters in plain containers; raises BadParameter, which names the field."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _named(error) from error


def from_json(kind: type[Model], data: bytes) -> Model:
    """Return the parameters in a JSON object; raises BadParameter, which names the field."""
    data = checked_json(data, most_keys=_MOST_KEYS, most_values=_MOST_VALUES)
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise _named(error) from error


def _named(error: ValidationError) -> BadParameter:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:50]
    field = place.partition(".")[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not field:
        return BadParameter(
            f"The JSON can't be used: {reason}.", hint="Send an object as /api/docs shows it."
        )
    if first["type"] == "extra_forbidden":
        return BadParameter(f"There is no '{field}' here.", hint="Check its spelling.", field=field)
    return BadParameter(
        f"'{place}' can't be used: {reason}.", hint="/api/docs says what it may be.", field=field
    )

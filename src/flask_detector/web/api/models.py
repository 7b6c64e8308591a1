"""What the installation offers: its models and their labels."""

from flask import Response, jsonify, request

from flask_detector.detectors import AUTO
from flask_detector.errors import BadParameter, UnknownModel
from flask_detector.web.api.operations import Answer, Operation, get
from flask_detector.web.api.params import LabelsQuery, from_fields
from flask_detector.web.api.responses import Labels, Models, models_answer
from flask_detector.web.core.responses import unkept
from flask_detector.web.core.service import service


@get(
    "/models",
    Operation(
        summary="List the models and how far each is on its way to being used",
        tag="Installation",
        answers={200: Answer("The models", Models)},
        example="$API/models",
    ),
)
def models() -> Response:
    """Send which models there are."""
    return unkept(jsonify(models_answer()))


@get(
    "/labels",
    Operation(
        summary="List what a model can find",
        tag="Installation",
        answers={200: Answer("The labels by class id", Labels)},
        errors=(BadParameter, UnknownModel),
        query=LabelsQuery,
        example="'$API/labels?model=nanodet-g'",
    ),
)
def labels() -> Response:
    """Send the labels of a model."""
    asked = from_fields(LabelsQuery, request.args).model
    name = service().default_model() if asked == AUTO else asked
    answer: Labels = {"model": name, "labels": list(service().models.labels(name))}
    return unkept(jsonify(answer))

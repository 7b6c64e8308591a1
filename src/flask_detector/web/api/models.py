"""Models and their labels."""

from flask import Response, jsonify, request

from flask_detector.errors import BadParameter, UnknownModel
from flask_detector.web.api.operations import Success, get
from flask_detector.web.api.params import LabelsQuery, from_fields
from flask_detector.web.api.responses import LabelList, ModelList, model_list
from flask_detector.web.core.service import service


@get(
    "/models",
    responses={200: Success("The models", ModelList)},
    example="$API/models",
)
def models() -> Response:
    """List the models and whether they are installed."""
    return jsonify(model_list())


@get(
    "/labels",
    responses={200: Success("The labels by class id", LabelList)},
    errors=(BadParameter, UnknownModel),
    query=LabelsQuery,
    example="'$API/labels?model=nanodet-g'",
)
def labels() -> Response:
    """List the classes that a model can detect."""
    asked = from_fields(LabelsQuery, request.args).model
    name = service().available.resolve(asked)
    answer: LabelList = {"model": name, "labels": list(service().models.labels(name))}
    return jsonify(answer)

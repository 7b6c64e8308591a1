"""Importing a data set into a collection: send its ZIP, see how far it is and what was left out."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from flask import g, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.errors import BadParameter
from flask_detector.formats.file_names import safe_name
from flask_detector.settings import MEGABYTE
from flask_detector.web.core import importing
from flask_detector.web.core.multipart import Request
from flask_detector.web.core.responses import go_to
from flask_detector.web.core.service import service
from flask_detector.web.pages.collection import SHARED, blueprint, changes, may_edit


@blueprint.before_app_request
def _take_large_files() -> None:
    # Before anything looks for a form's token, and so reads the form.
    if request.endpoint in {f"{name}.import_dataset" for name in ("collection", SHARED)}:
        g.importing = ExitStack()
        g.importing.enter_context(service().importing.held("Another data set is being imported."))
        if may_edit():
            request.max_content_length = importing.MOST_BYTES + MEGABYTE
            cast(Request, request).files_folder = Path(tempfile.gettempdir())


@blueprint.teardown_app_request
def _let_go(_: BaseException | None) -> None:
    if "importing" in g:
        g.importing.close()


@blueprint.get("/imports")
@changes
def show_import() -> AnyResponse | str:
    """Show how far an import is, or what became of it."""
    found = importing.find(service(), g.collection.id)
    if found is None:
        return go_to(url_for(".show"))
    return render_template("pages/imported.html", collection=g.collection, imported=found)


@blueprint.post("/imports")
@changes
def import_dataset() -> AnyResponse:
    """Take a data set in a ZIP in, and begin to import it."""
    file = request.files.get("dataset")
    if file is None or not file.filename:
        raise BadParameter("There is no file.", hint="Choose the ZIP of a data set.", field="dataset")
    path = Path(g.importing.enter_context(tempfile.TemporaryDirectory()), safe_name(file.filename))
    os.link(cast(str, file.stream.name), path)  # the form's own name of it ends with the request
    importing.begin(service(), g.collection.id, path, file.filename, g.importing)
    return go_to(url_for(".show_import"))


@blueprint.post("/imports/cancel")
@changes
def cancel_import() -> AnyResponse:
    """Have an import end; what it has brought stays."""
    importing.cancel(service(), g.collection.id)
    return go_to(url_for(".show_import"))


@blueprint.post("/imports/dismiss")
@changes
def dismiss_import() -> AnyResponse:
    """Say no more of how an import ended."""
    importing.dismiss(service(), g.collection.id)
    return go_to(url_for(".show"))

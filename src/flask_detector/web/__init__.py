"""The web application: pages, and the HTTP API."""

import redis
from flask import Flask

from flask_detector.broker.connection import connect
from flask_detector.settings import MEGABYTE, Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import Storage
from flask_detector.visualization.colors import PALETTE
from flask_detector.web import api, compat
from flask_detector.web.core import errors, multipart, request_bodies
from flask_detector.web.core.service import Service
from flask_detector.web.middleware import assets, cross_origin, rate_limits, security
from flask_detector.web.observability import health, request_log
from flask_detector.web.pages import (
    actions,
    admin,
    admin_models,
    admin_teach,
    batches,
    collected,  # noqa: F401  # routes of a collection
    collection,
    collection_imports,  # noqa: F401  # more of these
    collections,
    comparison,
    detection,
    history,
    home,
)


def create_app(
    settings: Settings, *, connection: redis.Redis | None = None, storage: Storage | None = None
) -> Flask:
    """Return the application; Redis and storage are the settings' own unless given."""
    connection = connection or connect(settings.required_redis_url)
    app = Flask(__name__, static_url_path=assets.url_path())
    app.request_class = multipart.Request
    app.url_map.strict_slashes = False  # a redirect would lose the body of what was sent
    app.config.update(
        **security.keys(settings),
        # The form's other fields and its boundaries need some room in addition to the picture.
        MAX_CONTENT_LENGTH=settings.max_upload_bytes + MEGABYTE,
        SEND_FILE_MAX_AGE_DEFAULT=assets.MAX_AGE_SECONDS,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # a page may stay open for days
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # stages and instances come in their own order
    app.extensions["flask-detector"] = Service(settings, connection, storage or open_storage(settings))
    request_log.install(app, connection)
    request_bodies.install(app, max_upload_bytes=settings.max_upload_bytes)
    dialects = compat.chosen(settings.clients)
    own = [home.blueprint, batches.blueprint, actions.blueprint, api.blueprint, api.page, health.blueprint]
    own += [admin.blueprint, admin_models.blueprint, admin_teach.blueprint]
    own += [history.blueprint, collections.blueprint]
    for blueprint in [*own, *dialects]:
        app.register_blueprint(blueprint)
    app.register_blueprint(detection.blueprint, url_prefix="/detections/<key>")
    app.register_blueprint(detection.blueprint, url_prefix="/shared/<key>", name=detection.SHARED)
    app.register_blueprint(comparison.blueprint)
    app.register_blueprint(comparison.shared)
    app.register_blueprint(batches.shared)
    of_batch = "/shared/batches/<token>/<int:place>"
    app.register_blueprint(detection.blueprint, url_prefix=of_batch, name=detection.SHARED_IN_BATCH)
    app.register_blueprint(collection.blueprint, url_prefix="/collections/<key>")
    app.register_blueprint(
        collection.blueprint, url_prefix="/shared/collections/<key>", name=collection.SHARED
    )
    app.jinja_env.globals["palette"] = PALETTE
    assets.install(app)
    errors.install(app)
    for_programs = [api.blueprint, *dialects]
    security.install(app, settings, exempt=for_programs)
    cross_origin.install(app, settings, names={blueprint.name for blueprint in for_programs})
    rate_limits.install(app, settings, connection, limited=for_programs)
    return app

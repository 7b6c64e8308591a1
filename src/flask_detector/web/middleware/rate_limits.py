"""Rate limits of API clients, for each API key and for each IP address without one."""

import math
import time

import redis
from flask import Blueprint, Flask, Response, request
from flask_limiter import Limiter
from werkzeug.exceptions import TooManyRequests

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import RateLimited
from flask_detector.settings import Settings
from flask_detector.web.core.auth import known_key
from flask_detector.web.core.client_network import network_of
from flask_detector.web.core.errors import answer

OFF = "off"
HEADERS = {
    "RateLimit-Limit": "How many requests may be sent in the current window.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "Seconds until the next window begins.",
}


def install(app: Flask, settings: Settings, connection: redis.Redis, *, limited: list[Blueprint]) -> None:
    """Limit the requests to these blueprints together; the counters are in the same Redis."""
    limiter = Limiter(
        _sender,
        app=app,
        storage_uri="redis://",
        storage_options={
            "connection_pool": connection.connection_pool,  # type: ignore[dict-item]  # it is passed on
            "key_prefix": "flask-detector:limits",
        },
        strategy="fixed-window",
    )

    def limit() -> str:
        return settings.rate_limit if known_key() is None else settings.key_rate_limit

    @limiter.shared_limit(limit, scope="api")
    def count() -> None:
        """Count the request, and refuse it where there were too many."""

    names = {blueprint.name for blueprint in limited}

    @app.before_request
    def check() -> None:
        # Not by decorating the blueprints: Redis's own errors would reach their error handlers.
        if request.blueprint in names and limit() != OFF:
            with reaching_redis():
                count()

    @app.errorhandler(TooManyRequests)
    def refuse(error: TooManyRequests) -> Response:
        return answer(RateLimited("Too many requests."))

    @app.after_request
    def tell(response: Response) -> Response:
        current = limiter.current_limit
        if current is None:
            return response
        try:
            seconds = max(1, math.ceil(current.window[0] - time.time()))
            left = current.window[1]
        except redis.RedisError:  # the answer itself is worth more than these headers
            return response
        for name, value in zip(HEADERS, (current.limit.amount, left, seconds), strict=True):
            response.headers[name] = str(value)
        if current.breached:
            response.headers["Retry-After"] = str(seconds)
        return response


def _sender() -> str:
    key = known_key()
    return f"address:{network_of(request.remote_addr)}" if key is None else key.owner

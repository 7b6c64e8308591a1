"""CORS for the API and other protocols, for the origins that the settings list.

flask-cors would add the headers, but leaves a preflight to the rest of the application, which asks for keys
that browsers never send with one, and counts it.
"""

from flask import Flask, Response, request

from flask_detector.settings import Settings

ANY = "*"

# Browsers ask again after two hours at most, whatever the header says.
_PREFLIGHT_SECONDS = "7200"


def install(app: Flask, settings: Settings, *, names: set[str]) -> None:
    """Let pages of the listed origins use these blueprints, which look at no cookie.

    It must be installed before what refuses requests: a preflight carries no key.
    """
    origins = settings.allowed_origins
    if not origins:
        return

    def is_meant() -> bool:
        # Not the blueprint alone: what no route answers has none, and scripts should read that error, too.
        return request.blueprint in names or request.path.startswith("/api/v1/")

    def is_allowed() -> bool:
        return ANY in origins or request.headers.get("Origin", "").lower() in origins

    @app.before_request
    def answer_preflight() -> Response | None:
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or asked is None or not is_meant() or not is_allowed():
            return None
        response = Response(status=204)
        # Whether the path takes the method and the headers is for the request itself to find out.
        response.headers["Access-Control-Allow-Methods"] = asked
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted:
            response.headers["Access-Control-Allow-Headers"] = wanted
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        response.vary.update(["Access-Control-Request-Method", "Access-Control-Request-Headers"])
        return response

    @app.after_request
    def allow(response: Response) -> Response:
        if not is_meant():
            return response
        if ANY not in origins:
            response.vary.add("Origin")
        if "Origin" in request.headers and is_allowed():
            origin = ANY if ANY in origins else request.headers["Origin"]
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = ANY
        return response

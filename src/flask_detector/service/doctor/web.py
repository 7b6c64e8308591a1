"""Whether our web server is running, or its port is free."""

import urllib.error
import urllib.request
from http.client import HTTPException

from flask_detector.service.doctor.finding import Findings, ok, problem
from flask_detector.service.launch import check_port, is_served
from flask_detector.settings import Settings


def check(settings: Settings) -> Findings:
    """Report what listens on the port; raises SettingsError where nothing does and we could not."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(f"{url}/healthz", timeout=5) as response:
            ours = response.read(16) == b"ok\n"
    except urllib.error.HTTPError as error:
        error.close()
        ours = False
    except HTTPException:
        ours = False
    except OSError:
        check_port(settings)
        yield ok(f"No web server is running on {url}; the port is free.")
        return
    if not ours:
        yield problem(f"Another program is listening on {url}.", "Stop it, or set PORT.")
    elif settings.redis_url is None and not is_served(settings):
        yield problem(
            f"The flask-detector on {url} uses a different data folder than {settings.data_dir}.",
            "Stop it, or set PORT for a second one.",
        )
    else:
        yield ok(f"The web server is running on {url}.")

"""Whether a worker is running, and our web server, or its port is free."""

import urllib.error
import urllib.request
from http.client import HTTPException

import redis

from flask_detector.errors import BrokerUnavailable
from flask_detector.jobs.queue import Jobs
from flask_detector.service.doctor.finding import Findings, ok, problem, warning
from flask_detector.service.launch import connect_to_installation, is_served
from flask_detector.service.supervisor import listening, reachable, url_of
from flask_detector.settings import Settings


def check_workers(settings: Settings) -> Findings:
    """Report the workers that Redis knows; nothing where it can't be reached, which its own check reports."""
    try:
        with connect_to_installation(settings) as connection:
            workers = Jobs(connection, settings).workers()
    except (BrokerUnavailable, redis.RedisError):
        return
    if any(worker.model for worker in workers):
        yield ok(f"{len(workers)} running.")
    else:
        yield warning(
            "No worker with a loaded model has reported in the last ten seconds.",
            "Start one: 'flask-detector serve', or 'flask-detector worker' next to a web process.",
        )


def check_web(settings: Settings) -> Findings:
    """Report what listens on the port; raises SettingsError where nothing does and we could not."""
    url = url_of(reachable(settings.host), settings.port)
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
        listening(settings.host, settings.port).close()
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

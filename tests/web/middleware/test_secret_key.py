"""SECRET_KEY is turned over while people are at it: nobody loses anything. The servers are real."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import redis
import requests

from flask_detector.api_keys import Keys, Scope
from flask_detector.settings import Settings
from tests.support.ports import free_port
from tests.support.stack import environment_of
from tests.support.waiting import wait_until_answered

Serve = Callable[..., AbstractContextManager[str]]

OLD, NEW = "the key of last year and long enough", "the key of this year and just as long"


@pytest.fixture
def serve(
    settings: Settings,
    connection: redis.Redis,
) -> Serve:
    """A function that runs a web process with these keys until the block ends, always at the same address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    @contextmanager
    def serve(**keys: str) -> Iterator[str]:
        usual = environment_of(settings)
        usual.pop("SECRET_KEY", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "flask_detector", "web"],
            env={**usual, "PORT": str(port), **keys},
        )
        try:
            wait_until_answered(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(30)

    return serve


def token_of(page: str) -> dict[str, str]:
    form = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert form is not None
    return {"csrf_token": form[1]}


class Visitor:
    """Somebody who has sent a picture, shared it, and keeps its page open."""

    def __init__(self, url: str, picture: bytes) -> None:
        self.browser = requests.Session()
        self.url = url
        token = token_of(self.browser.get(url, timeout=30).text)
        self.address = self.browser.post(
            f"{url}/detections", token, files={"picture": ("mine.jpg", picture)}, timeout=30
        ).url
        self.open_page = self.browser.get(self.address, timeout=30).text

    def history(self) -> int:
        return self.browser.get(f"{self.url}/history", timeout=30).text.count("mine.jpg")

    def sees_it(self) -> bool:
        return self.browser.get(self.address, timeout=30).status_code == 200

    def cookies(self) -> list[str]:
        return [one.name for one in self.browser.cookies if one.name.startswith("session_")]


@pytest.mark.slow
def test_history_open_forms_and_operators_outlive_a_turn_over(
    serve: Serve, connection: redis.Redis, jpeg: bytes
) -> None:
    _, admin = Keys(connection).create("operator", Scope.ADMIN)
    with serve(SECRET_KEY=OLD) as url:
        visitor, away = Visitor(url, jpeg), Visitor(url, jpeg)
        login = token_of(visitor.browser.get(f"{url}/admin/login", timeout=30).text)
        assert visitor.browser.post(f"{url}/admin/login", {**login, "key": admin}, timeout=30).ok
        (old_name,) = visitor.cookies()
    with serve(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=f"an older one,{OLD}"):
        assert visitor.history() >= 1
        assert visitor.sees_it()
        assert visitor.browser.get(f"{url}/admin", timeout=30).url == f"{url}/admin"
        (new_name,) = visitor.cookies()
        assert new_name != old_name
        # The form of a page that was opened before.
        shared = visitor.browser.post(f"{visitor.address}/share", token_of(visitor.open_page), timeout=30)
        assert shared.ok
    with serve(SECRET_KEY=NEW):
        assert visitor.history() >= 1
        assert visitor.sees_it()
        # Whoever did not come while the old key was a fallback is a stranger now.
        assert away.history() == 0
        assert not away.sees_it()


@pytest.mark.slow
def test_without_the_old_key_a_turn_over_makes_strangers_of_all(serve: Serve, jpeg: bytes) -> None:
    with serve(SECRET_KEY=OLD) as url:
        visitor = Visitor(url, jpeg)
    with serve(SECRET_KEY=NEW):
        assert not visitor.sees_it()
        assert not visitor.browser.post(f"{visitor.address}/share", token_of(visitor.open_page)).ok


@pytest.mark.slow
def test_the_key_that_was_made_in_the_data_folder_can_be_turned_over_too(
    serve: Serve, settings: Settings, jpeg: bytes
) -> None:
    with serve() as url:
        visitor = Visitor(url, jpeg)
    made = (settings.data_dir / "secret_key").read_text()
    with serve(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=made):
        assert visitor.sees_it()

"""Log lines are JSON for programs, one line for people, and never hold what opens something."""

import io
import json
import logging

import pytest

from flask_detector.process import logs

ID = "0123456789abcdef0123456789abcdef"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO, log_format: str) -> io.StringIO:
    logs.set_up(log_format, "web", stream)
    return stream


def test_a_line_for_programs_is_json_with_the_request_and_its_facts() -> None:
    stream = lines(io.StringIO(), "auto")
    token = logs.request_id.set("a-request")
    logging.getLogger("flask_detector.x").info("it %s", "happened", extra=logs.facts(status=200, gone=None))
    logs.request_id.reset(token)
    form = json.loads(stream.getvalue())
    assert form["message"] == "it happened"
    assert (form["level"], form["part"], form["request"], form["status"]) == ("info", "web", "a-request", 200)
    assert "gone" not in form


def test_a_line_on_a_terminal_is_text() -> None:
    stream = lines(Terminal(), "auto")
    logging.getLogger("x").warning("it happened", extra=logs.facts(status=500))
    assert stream.getvalue().endswith("WARNING web: it happened [status=500]\n")


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "secret",
    [
        ID,
        "/shared/sPUEKPVcIizPMc1RzVsvNw",
        "fd_0123456789ab_" + "A" * 43,
        "redis://user:a-password@host:6379/0",
    ],
)
def test_what_opens_something_is_cut_wherever_it_is_written(log_format: str, secret: str) -> None:
    stream = lines(io.StringIO(), log_format)
    try:
        raise ValueError(f"in an error: {secret}")
    except ValueError:
        logging.getLogger("a.library").exception("in a message: %s", secret, extra=logs.facts(fact=secret))
    assert secret not in stream.getvalue()
    assert "a-password" not in stream.getvalue()
    assert "…" in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_users_send_can_forge_no_line(log_format: str) -> None:
    stream = lines(io.StringIO(), log_format)
    logging.getLogger("x").info("got %s", "one\n12:00:00 INFO web: forged\r\x1b[2J")
    assert stream.getvalue().count("\n") == 1
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("sent", [None, "", "short", "a" * 65, "with space", "line\nbreak", "naïve-id-12"])
def test_a_request_id_that_is_none_is_replaced(sent: str | None) -> None:
    made = logs.accepted_request_id(sent)
    assert made != sent
    assert len(made) == 16


def test_a_proper_request_id_is_kept() -> None:
    assert logs.accepted_request_id(f"{ID}.1_2-3") == f"{ID}.1_2-3"

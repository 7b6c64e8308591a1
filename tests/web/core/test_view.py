from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from flask_detector.errors import BadParameter
from flask_detector.web.core.view import View


def test_an_address_without_parameters_is_the_usual_view() -> None:
    assert View.of(MultiDict()) == View()


def test_an_address_says_score_classes_and_what_is_not_drawn() -> None:
    query = MultiDict([("score", "0.5"), ("off", "car"), ("off", "traffic light"), ("hide", "masks")])
    assert View.of(query) == View(0.5, frozenset({"car", "traffic light"}), frozenset({"masks"}))


def test_a_score_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(BadParameter, match="score is 'high'"):
        View.of(MultiDict([("score", "high")]))


def test_what_is_switched_off_is_neither_drawn_nor_exported_nor_listed(
    upload: Callable[..., TestResponse], client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    address = upload((pictures / "apartment.jpg").read_bytes()).headers["Location"]
    work_off()
    usual = client.get(f"{address}/exports/csv").text
    without = client.get(f"{address}/exports/csv?off=chair").text
    assert "chair" in usual
    assert "chair" not in without
    assert client.get(f"{address}/download?off=chair").data != client.get(f"{address}/download").data
    bare = client.get(f"{address}/download?hide=boxes&hide=labels").data
    assert bare == client.get(f"{address}/download?score=1").data
    page = client.get(f"{address}?score=0.9&off=chair").text
    assert "download?score=0.9&amp;off=chair" in page


def test_a_page_on_which_nothing_is_shown_says_whether_it_is_for_the_score_or_the_classes(
    upload: Callable[..., TestResponse], client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    address = upload((pictures / "apartment.jpg").read_bytes()).headers["Location"]
    work_off()
    page = client.get(f"{address}?only=zebra&score=0.4").text
    assert "of other classes were found" in page
    assert f'href="{address}?score=0.4">Show all classes' in page
    assert "No object scored" not in page
    assert "0 objects shown" in page
    page = client.get(f"{address}?score=1").text
    assert "No object scored 100% or more" in page
    assert "No objects found" in page

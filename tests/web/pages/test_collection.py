"""One collection by a browser: what it shows, what links allow, and the way from picture to picture."""

import io
import re
import zipfile
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.collections.documents import Rights
from flask_detector.web.core.service import Service
from tests.support.collected import Own


def test_pictures_are_chosen_by_state_class_and_part(client: FlaskClient, own: Own) -> None:
    everything = client.get(own.url).text
    assert "&lt;b&gt;Füchse&lt;/b&gt; &amp; 狐" in everything
    assert "&lt;i&gt;狐&lt;/i&gt;.jpg" in everything
    for query, shown in (("state=edited", 1), ("class=cat", 1), ("state=unseen", 2), ("split=none", 3)):
        page = client.get(f"{own.url}?{query}").text
        assert page.count('class="record collected') == shown, query
    assert "No such pictures" in client.get(f"{own.url}?state=verified").text
    assert client.get(f"{own.url}?state=seen").status_code == 400
    assert client.get(f"{own.url}?page=99999999999999999999").status_code == 200


def test_a_picture_leads_to_those_beside_it_also_when_it_has_left_the_choice(
    client: FlaskClient, own: Own
) -> None:
    def beside(picture: str, query: str) -> list[str]:
        page = client.get(f"{own.url}/pictures/{picture}?{query}").text
        return re.findall(r'data-(?:previous|next)="[^"]*/pictures/(\w+)\?', page)

    first, edited, last = own.pictures
    assert beside(edited, "state=unseen") == [first, last]
    assert beside(first, "state=unseen") == [last]
    for path in ("picture", "thumbnail"):
        assert client.get(f"{own.url}/pictures/{first}/{path}").data[:2] == b"\xff\xd8"


def test_a_class_is_renamed_pictures_are_parted_and_deleted(
    client: FlaskClient, own: Own, send: Callable[..., TestResponse], service: Service
) -> None:
    send(f"{own.url}/classes", old="cat", new="Füchsin 狐")
    assert service.collections.find(own.id).classes == ("Füchsin 狐",)
    send(f"{own.url}/split", percent="34")
    page = client.get(own.url).text
    assert page.count(">Validation</span>") == 2
    send(f"{own.url}/pictures/{own.pictures[0]}/delete")
    assert len(service.pictures.entries(own.id)) == 2
    assert send(f"{own.url}/classes/remove", name="Füchsin 狐").status_code == 400, "objects have it"
    send(f"{own.url}/pictures/{own.pictures[1]}/delete")
    send(f"{own.url}/classes/remove", name="Füchsin 狐")
    assert service.collections.find(own.id).classes == ()
    send(f"{own.url}/rename", name="Neu")
    assert "<h1>Neu</h1>" in client.get(own.url).text
    assert send(f"{own.url}/split", percent="x").status_code == 400
    send(f"{own.url}/delete")
    assert client.get(own.url).status_code == 404


def test_who_has_a_link_may_do_what_it_says_and_no_more(
    app: Flask, own: Own, service: Service, token_of: Callable[[FlaskClient], str]
) -> None:
    tokens = {rights: service.collections.share(own.id, rights) for rights in Rights}
    other = app.test_client()
    form = {"csrf_token": token_of(other), "old": "cat", "new": "dog", "percent": "20", "name": "Mine"}
    accept = {"Accept": "application/json", "X-CSRFToken": form["csrf_token"], "If-Match": "*"}
    picture = f"pictures/{own.pictures[0]}"
    for rights, token in tokens.items():
        url = f"/shared/collections/{token}"
        assert other.get(url).status_code == 200
        assert own.id not in other.get(url).text
        assert own.id not in other.get(f"{url}/{picture}").text
        assert other.get(f"{url}/{picture}/annotations").status_code == 200
        document = other.get(f"{url}/{picture}/annotations").json
        answers = [
            other.put(f"{url}/{picture}/annotations", json=document, headers=accept),
            other.post(f"{url}/classes", data=form, headers=accept),
            other.post(f"{url}/split", data=form, headers=accept),
        ]
        expected = 403 if rights is Rights.READ else 202
        assert [answer.status_code for answer in answers] in ([403] * 3, [200, 202, 202]), rights
        assert answers[1].status_code == expected
        for path in ("rename", "delete", "share/edit", "withdraw/read"):
            assert other.post(f"{url}/{path}", data=form, headers=accept).status_code == 403, path
    service.collections.withdraw(own.id, Rights.EDIT)
    assert other.get(f"/shared/collections/{tokens[Rights.EDIT]}").status_code == 404
    assert other.get(own.url).status_code == 404, "the link does not give the collection itself"


@pytest.mark.parametrize("format", ["coco", "yolo", "voc", "labelme", "cvat", "label-studio", "json"])
def test_every_format_can_be_taken_away(client: FlaskClient, own: Own, format: str) -> None:
    answer = client.get(f"{own.url}/exports/{format}.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) >= 1
    assert client.get(f"{own.url}/exports/word.zip").status_code == 404

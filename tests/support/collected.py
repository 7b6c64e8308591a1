"""What tests of collections put into them."""

import io
from dataclasses import dataclass

from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from flask_detector.structures.annotation import Annotation
from flask_detector.structures.annotations import Annotations

OWNER = "somebody"
OF_MODEL = Annotation("m0", "cat", "model", 0.75, False, (1, 2, 11, 12))
OF_PERSON = Annotation("p1", "Füchsin 狐", "person", None, False, (5, 5, 20, 10))


def annotations(*objects: Annotation, verified: bool = False) -> Annotations:
    """Return objects in a picture of 64 by 48 pixels."""
    labels = tuple(dict.fromkeys(one.label for one in objects))
    return Annotations(64, 48, objects, labels, verified)


def collection_of(client: FlaskClient, name: str = "Birds") -> str:
    """Create a collection by the API; return its path."""
    made = client.post("/api/v1/collections", json={"name": name})
    assert made.status_code == 201, made.text
    return made.headers["Location"]


def add_picture(
    client: FlaskClient, collection: str, picture: bytes, name: str = "a.jpg", **fields: str
) -> str:
    """Add a picture to a collection by the API; return its id."""
    form = {"picture": FileStorage(io.BytesIO(picture), name), **fields}
    boundary, body = encode_multipart(form)  # in memory; the test client would leave a file open
    answer = client.post(
        f"{collection}/pictures", data=body, content_type=f'multipart/form-data; boundary="{boundary}"'
    )
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    (id,) = answer.json["pictures"]
    return str(id)


@dataclass(frozen=True)
class Own:
    """A collection of the browser with three pictures, of which the second is edited."""

    id: str
    pictures: list[str]

    @property
    def url(self) -> str:
        return f"/collections/{self.id}"

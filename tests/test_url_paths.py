"""Paths in addresses, as people write them."""

from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from flask_detector.url_paths import path_in_url, quoted_socket

NAMES = ["plain", "a b", "a#b", "what?", "a?b=c", "100%25", "é写", "a@b:c", "'\"\\"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("query", ["", "?db=1", "?db=1&password=a%2Fb"])
def test_a_socket_is_named_percent_encoded_or_as_it_is(tmp_path: Path, name: str, query: str) -> None:
    socket = tmp_path / name / "redis.sock"
    socket.parent.mkdir()
    expected = f"unix://{quote(str(socket))}{query}"
    assert quoted_socket(expected) == expected
    assert quoted_socket(f"unix://{socket}{query}") == expected


def test_a_user_stays_and_other_addresses_are_left_alone() -> None:
    assert quoted_socket("unix://user:word@/run/redis.sock?db=2") == "unix://user:word@/run/redis.sock?db=2"
    assert quoted_socket("unix:///run/redis.sock?password=a/b") == "unix:///run/redis.sock?password=a/b"
    for url in ("redis://:a b@host:6379/0?x=y#z", "rediss://host", "unix://nothing"):
        assert quoted_socket(url) == url


def test_a_folder_that_is_not_there_is_decoded() -> None:
    assert urlsplit(quoted_socket("unix:///no%20such/redis.sock")).path == "/no%20such/redis.sock"
    assert path_in_url("/no%20such/folder") == Path("/no such/folder")


def test_a_folder_still_to_be_made_is_decoded_unless_it_is_there_as_written(tmp_path: Path) -> None:
    address = f"{tmp_path}/my%20pictures"
    assert path_in_url(address) == tmp_path / "my pictures"
    Path(address).mkdir()
    assert path_in_url(address) == Path(address)

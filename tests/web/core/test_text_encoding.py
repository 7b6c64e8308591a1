"""Names in the encodings that programs of other times and places use."""

import time

import pytest

from flask_detector.web.core.text_encoding import decoded

NAMES = {
    "utf-8": ["写真.jpg", "фото.jpg", "👩‍🚀.jpg"],
    "latin-1": ["café.jpg", "été à Paris.jpg", "Fußgängerübergänge.jpg", "señor.jpg", "äöüß.jpg", "é.jpg"],
    "cp1252": ["naïve “q”.jpg", "l’été – 10 €.jpg"],  # noqa: RUF001  # meant so
    "shift-jis": ["写真.jpg", "ソ表.jpg", "東京タワー 2020年.jpg", "IMG写真a.jpg", "花.jpg"],
    "cp1251": ["фото.jpg", "Снимок экрана 2.jpg", "IMG_КОТ.jpg", "Новий рік.jpg"],  # noqa: RUF001  # meant so
    "cp949": ["사진.jpg", "스크린샷 1.jpg"],
    "gb18030": ["照片.jpg", "微信图片_2020.jpg", "新建文件夹.jpg"],
}


@pytest.mark.parametrize(("encoding", "name"), [(e, name) for e in NAMES for name in NAMES[e]])
def test_a_name_is_read_in_its_own_encoding(encoding: str, name: str) -> None:
    line = f'Content-Disposition: form-data; name="picture"; filename="{name}"'
    assert decoded(name.encode(encoding)) == name
    assert decoded(line.encode(encoding)) == line


def test_bytes_of_no_encoding_are_a_text_all_the_same() -> None:
    assert decoded(bytes(range(256))).startswith("\0\x01\x02")
    assert decoded(b"\x81\xff.jpg").endswith(".jpg")


@pytest.mark.parametrize("unit", [b"\xe9", b"\x82\xa0", b"\xee ", b"a\xd4", b"\xd4\xee", b"\xb0\xa1"])
def test_a_long_text_takes_as_much_longer_as_it_is_long(unit: bytes) -> None:
    text = unit * 200_000
    start = time.process_time()
    decoded(b"\xff" + text + b"\xff\x01\xff")
    decoded(text + b"\xee!")
    assert time.process_time() - start < 20  # half a second; with regular expressions that go back, hours

"""MMDetection's configuration is read as data, whatever is in its text."""

import pytest

from flask_detector.detectors.checkpoint.mmdet_config import (
    config_of,
    config_text,
    normalisation_in,
    size_for_testing,
)

TEXT = """
_base_ = ['../base.py']
import os
model = dict(backbone=dict(depth=50, style='caffe'), scales=[8], shift=-1, path=os.sep, f=open('x'))
img_norm_cfg = {'mean': [1.0, 2.0, 3.0], 'std': [4, 5, 6], 'to_rgb': True}
data = dict(test=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(1333, 800), transforms=[
        dict(type='Resize', keep_ratio=True),
        dict(type='Normalize', mean=[7, 8, 9], std=[1, 1, 1], to_rgb=False),
    ]),
]))
"""


@pytest.mark.parametrize("meta", [{"meta": {"cfg": TEXT}}, {"meta": {"config": TEXT}}, {"cfg": TEXT}])
def test_literals_are_read_and_all_else_counts_as_not_stated(meta: dict[str, object]) -> None:
    model = config_of(meta)["model"]
    assert model["backbone"] == {"depth": 50, "style": "caffe"}
    assert (model["scales"], model["shift"], model["path"], model["f"]) == ([8], -1, None, None)


def test_how_pictures_are_prepared_is_found_in_the_pipeline() -> None:
    config = config_of({"cfg": TEXT})
    assert size_for_testing(config) == (1333, 800)
    assert normalisation_in(config) == {"image_mean": [7, 8, 9], "image_std": [1, 1, 1], "bgr": True}
    without = normalisation_in({"img_norm_cfg": config["img_norm_cfg"]})
    assert (without["image_mean"], without["bgr"]) == ([1.0, 2.0, 3.0], False)
    assert normalisation_in({}) == {}


LENGTH = 1 << 17
HOSTILE = {
    "signs": "a=" + "-" * (LENGTH - 3) + "1",
    "sums": "a=" + "1+" * (LENGTH // 2 - 2) + "1",
    "brackets": "a=" + "(" * (LENGTH - 2),
    "calls": "a=f" + "()" * (LENGTH // 2 - 2),
    "dicts": "a=" + "dict(a=" * 190 + "1" + ")" * 190,
    "conditions": "a=" + "1 if 1 else " * (LENGTH // 13) + "1",
    "a number": "a=" + "9" * (LENGTH - 2),
    "zeros": "a='\0'",
    "no Python": "model: {backbone: {depth: 50}}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_that_could_exhaust_the_parser_states_nothing_or_little(name: str) -> None:
    config_of({"cfg": HOSTILE[name]})


def test_a_text_of_megabytes_is_not_looked_at() -> None:
    assert config_text({"cfg": "a = 1\n" * 100_000}) == ""

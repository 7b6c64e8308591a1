"""Dashboard and documents name exactly the metrics that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from flask_detector.service.metrics import MEASURES
from flask_detector.settings import Settings
from flask_detector.web import create_app

PROJECT = Path(__file__).parents[2]
DASHBOARD = PROJECT / "deploy" / "grafana" / "flask-detector.json"


@pytest.fixture
def families(settings: Settings, connection: redis.Redis) -> dict[str, str]:
    """The metrics that there are, with their helps."""
    settings.data_dir.mkdir()
    text = create_app(settings, connection=connection).test_client().get("/metrics").text
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    # In this format a counter's name has its ending, and an info's.
    return {
        name.removesuffix("_total"): told for name, told in helps.items() if not name.endswith("_created")
    }


def test_the_table_has_each_metric_with_its_own_words_and_no_other(families: dict[str, str]) -> None:
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(detector_\w+)` \|[^|]*\| (.+) \|$", text, re.MULTILINE))
    assert rows == families


def test_the_table_has_the_labels_of_each_measure() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(detector_\w+)` \| ?([^|]*?) ?\|", text, re.MULTILINE))
    for measure in MEASURES:
        assert rows[measure.name] == ", ".join(measure.labels)


def _expressions(panel: dict[str, Any]) -> Iterator[str]:
    yield from (target["expr"] for target in panel["targets"])


def test_the_dashboard_asks_for_metrics_that_there_are_and_for_all_that_change(
    families: dict[str, str],
) -> None:
    endings = {
        measure.name: {"_bucket", "_sum", "_count"} if measure.bounds else {"_total"} for measure in MEASURES
    }
    there = {name + ending for name in families for ending in endings.get(name, {""})}
    dashboard = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for expression in _expressions(panel)
        for name in re.findall(r"detector_\w+", expression)
    }
    assert asked <= there
    without_ending = {re.sub("_(total|bucket|sum|count)$", "", name) for name in asked}
    assert set(families) - without_ending == {"detector_info"}


def test_the_dashboards_labels_are_those_of_its_metrics() -> None:
    labels = {label for measure in MEASURES for label in measure.labels} | {"le"}
    labels |= {"kind", "host", "process", "name", "model"}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
            for group in re.findall(r"by \(([^)]*)\)", target["expr"]):
                assert {label.strip() for label in group.split(",")} <= labels


def test_the_panels_of_the_dashboard_lie_side_by_side() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells

"""The figures in the documents are those that benchmarks have recorded."""

import re
from pathlib import Path

import pytest

from benchmarks import report, results


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.name)
def test_the_tables_of_figures_are_what_was_recorded(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert report.rendered(text) == text


def test_each_table_of_figures_stands_on_a_page_and_the_plot_is_theirs() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in report.PAGES)
    assert sorted(re.findall(r"<!-- figures: (\S+) -->", text)) == sorted(report.BLOCKS)
    assert report.PLOT.read_text(encoding="utf-8") == report.plot()


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of a run on a machine that has neither bfloat16 nor torchvision."""
    for path in results.FOLDER.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    figures = {
        "Mask R-CNN, float32": {"seconds": 4.0512345, "peak_mb": 500.0},
        "RTMDet-Ins s, float32": {"seconds": 0.405, "peak_mb": 200.0, "other_seconds": 0.0714},
    }
    results.record("models", "a command", figures)


@pytest.mark.usefixtures("recorded")
def test_a_run_renews_the_tables_with_its_date_and_machine() -> None:
    rendered = report.rendered("before <!-- figures: models -->\nold\n<!-- end --> after")
    assert "| Mask R-CNN, float32 | 4.05 s | 1.0 | | 500 MB | |" in rendered
    assert "| RTMDet-Ins s, float32 | 0.41 s | 10.0 | 0.071 s | 200 MB | |" in rendered
    assert f"{results.machine()}: `a command`" in rendered
    assert "old" not in rendered
    assert rendered.endswith("<!-- end --> after")
    assert "| 4.05 s in float32 |" in report.readme()
    assert "4.05 s</text>" in report.plot()

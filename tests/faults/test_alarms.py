"""The alarms of docs/operations.md and the dashboard's queries, with a real Prometheus and a real server."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flask_detector.errors import PictureError, codes, kind_of
from tests.support.installation import Installation
from tests.support.pictures import picture
from tests.support.ports import free_port
from tests.support.waiting import wait_until

PROJECT = Path(__file__).parents[2]
DASHBOARD = PROJECT / "deploy" / "grafana" / "flask-detector.json"

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Prometheus is not here (Debian's package `prometheus`)",
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the documentation tells to save."""
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(groups:.*?)^```$", text, re.MULTILINE | re.DOTALL)
    file = tmp_path_factory.mktemp("rules") / "flask-detector.rules.yml"
    file.write_text(block, encoding="utf-8")
    return file


def alarms(rules: Path) -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def promtool(*words: object) -> None:
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_no_fault_in_the_rules(rules: Path) -> None:
    promtool("check", "rules", rules)


def test_an_alarm_for_failures_leaves_out_exactly_those_for_which_the_picture_is_to_blame(
    rules: Path,
) -> None:
    (excluded,) = re.findall(r'code!~"([^"]+)"', alarms(rules)["DetectorFails"]["expr"])
    assert set(excluded.split("|")) == {code for code in codes() if issubclass(kind_of(code), PictureError)}


# What sets each alarm off: series by the minute, as promtool writes them, in which it holds after ten.
BAD = {
    "DetectorUnreachable": {'up{job="flask-detector"}': "1 1 1 1 1 1 1 1 0 0 0"},
    "DetectorRedisDown": {"detector_redis_up": "1x8 0 0"},
    "DetectorNoWorkers": {"detector_workers": "2x7 0 0 0"},
    "DetectorQueueSlow": {"detector_queue_oldest_seconds": "0x7 61 62 63"},
    "DetectorQueueNearlyFull": {"detector_queue_waiting": "0x9 81", "detector_queue_limit": "100x10"},
    "DetectorFails": {'detector_failures_total{code="detection_failed"}': "0x8 1 1"},
    "DetectorWorkersDie": {"detector_retries_total": "0x8 1 1"},
    "DetectorErrors": {'detector_http_requests_total{method="GET",route="/",status="500"}': "0x8 1 1"},
    "DetectorRedisNearlyFull": {
        "detector_redis_memory_bytes": "1x6 91 91 91",
        "detector_redis_memory_limit_bytes": "100x10",
    },
    "DetectorDiskNearlyFull": {"detector_data_free_bytes": "1e10x7 1e8 1e8 1e8"},
}
# The same where all is well: what failed was the picture's fault or long ago, and Redis has no limit.
GOOD = {
    'up{job="flask-detector"}': "1x10",
    "detector_redis_up": "1x10",
    "detector_workers": "1x5 0 1x5",
    "detector_queue_oldest_seconds": "59x10",
    "detector_queue_waiting": "80x10",
    "detector_queue_limit": "100x10",
    'detector_failures_total{code="damaged_picture"}': "0+1x10",
    'detector_failures_total{code="detection_failed"}': "7x10",
    "detector_retries_total": "3x10",
    'detector_http_requests_total{method="GET",route="/",status="500"}': "9x10",
    'detector_http_requests_total{method="GET",route="/",status="404"}': "0+1x10",
    "detector_redis_memory_bytes": "1e12x10",
    "detector_redis_memory_limit_bytes": "0x10",
    "detector_data_free_bytes": "2e9x10",
}


def case(name: str, series: dict[str, str], count: int) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
                "eval_time": "10m",
                "exp_samples": [{"labels": "{}", "value": count}],
            }
        ],
    }


def test_each_alarm_goes_off_at_what_it_is_for_and_not_otherwise(rules: Path, tmp_path: Path) -> None:
    assert BAD.keys() == alarms(rules).keys()
    tests = [case(name, series, 1) for name, series in BAD.items()]
    tests += [case(name, GOOD, 0) for name in BAD]
    form = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump(form), encoding="utf-8")
    promtool("test", "rules", file)


Query = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def query(installation: Installation, rules: Path, tmp_path: Path) -> Iterator[Query]:
    """A function that has a Prometheus, which asks the installation all the time, evaluate an expression."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": "flask-detector",
                "static_configs": [{"targets": [f"127.0.0.1:{installation.port}"]}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def evaluate(expression: str) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{asked}", timeout=30) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def is_asking() -> bool:
        try:
            return evaluate('up{job="flask-detector"} == 1') != []
        except OSError:
            return False

    try:
        wait_until(is_asking, 60)
        yield evaluate
    finally:
        process.kill()
        process.wait(20)


def firing(query: Query) -> set[str]:
    return {one["metric"]["alertname"] for one in query('ALERTS{alertstate="firing"}')}


@pytest.mark.slow
def test_the_first_failure_of_an_installation_sets_off_its_alarm_and_a_damaged_picture_none(
    installation: Installation, query: Query
) -> None:
    installation.start_faulty_worker()
    wait_until(lambda: query('detector_failures_total{code="detection_failed"} == 0') != [], 30)
    damaged = installation.send_until_accepted(picture()[:-40])
    assert installation.wait_for(damaged).status == "failed"
    wait_until(lambda: query('increase(detector_failures_total{code="damaged_picture"}[1m]) > 0') != [], 30)
    assert firing(query) & {"DetectorFails", "DetectorWorkersDie", "DetectorErrors"} == set()
    broken = installation.send_until_accepted(picture("break"))
    assert installation.wait_for(broken).status == "failed"
    wait_until(lambda: firing(query) >= {"DetectorFails", "DetectorWorkersDie"}, 30)


@pytest.mark.slow
def test_each_query_of_the_dashboard_finds_something(installation: Installation, query: Query) -> None:
    installation.start_faulty_worker()
    for data in (picture(), picture("break")):
        assert installation.wait_for(installation.send_until_accepted(data)).status.is_final
    installation.connection.config_set("maxmemory", "200mb")  # without a limit there is no line for it
    expressions = [
        target["expr"].replace("$__rate_interval", "1m")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    ]
    assert len(expressions) > 20
    empty: list[str] = []

    def all_found() -> bool:
        # Something must happen between two looks, or no rate is over 0.
        installation.send_until_accepted(picture("break"))
        installation.send_until_accepted(picture())
        empty[:] = [expression for expression in expressions if not query(expression)]
        return not empty

    try:
        wait_until(all_found, 40)
    except AssertionError:
        pytest.fail(f"nothing was found by {empty}")

from pathlib import Path
from typing import Any

import pytest

from flask_detector.detectors import ModelStore, Stage
from flask_detector.detectors.zoo.registry import MODELS
from flask_detector.errors import BrokerUnavailable, ModelNotInstalled, UnknownModel
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.settings import Settings
from flask_detector.web.core.available_models import AvailableModels

SMALL, MAIN, BEST = "nanodet-g", "mask-rcnn-r50-fpn", "mask-rcnn-r50-fpn-tv2"


class StubJobs(Jobs):
    """Jobs whose workers the test names: who lives is all that is asked of them here."""

    def __init__(self, *workers: WorkerInfo, is_reachable: bool = True) -> None:
        self._live, self._is_reachable = list(workers), is_reachable

    def workers(self) -> list[WorkerInfo]:
        if not self._is_reachable:
            raise BrokerUnavailable("Redis can't be reached.")
        return self._live


def worker(*models: str, queue: str = "detections", **seconds: float) -> WorkerInfo:
    taken = {name.replace("_", "-"): value for name, value in seconds.items()}
    return WorkerInfo("name", False, SMALL, frozenset(models), queue, taken)


def offered(
    folder: Path, *workers: WorkerInfo, installed: str | None = None, **settings: Any
) -> AvailableModels:
    store = ModelStore(folder / "models")
    if installed is not None:
        source = MODELS[installed].source
        (folder / "models" / installed).mkdir(parents=True)
        (folder / "models" / installed / source.file_name).touch()
    given = Settings(data_dir=folder, **settings)
    return AvailableModels(store, StubJobs(*workers), given)


def stages(models: AvailableModels) -> dict[str, Stage]:
    return {info.name: state.stage for info, state in models.by_state()}


def test_what_only_the_workers_machine_has_is_offered(tmp_path: Path) -> None:
    models = offered(tmp_path, worker(SMALL, MAIN))
    assert stages(models)[MAIN] is Stage.INSTALLED
    assert models.default() == MAIN
    models.check(MAIN)


def test_what_only_the_web_s_machine_has_is_not_offered_and_why_is_said(tmp_path: Path) -> None:
    models = offered(tmp_path, worker(SMALL), installed=MAIN)
    (state,) = [state for info, state in models.by_state() if info.name == MAIN]
    assert state.stage is Stage.ABSENT
    assert "where the workers run" in state.note
    assert models.default() == SMALL
    with pytest.raises(ModelNotInstalled, match="where the workers run"):
        models.check(MAIN)


def test_what_one_of_several_workers_lacks_is_not_offered(tmp_path: Path) -> None:
    models = offered(tmp_path, worker(SMALL, MAIN, BEST), worker(SMALL, MAIN))
    assert (stages(models)[MAIN], stages(models)[BEST]) == (Stage.INSTALLED, Stage.ABSENT)
    assert models.default() == MAIN


def test_what_is_slow_on_one_of_the_workers_machines_is_not_the_default(tmp_path: Path) -> None:
    quick = worker(SMALL, MAIN, BEST, mask_rcnn_r50_fpn=0.5, mask_rcnn_r50_fpn_tv2=0.8)
    slow = worker(SMALL, MAIN, BEST, mask_rcnn_r50_fpn=0.7, mask_rcnn_r50_fpn_tv2=3.0)
    assert offered(tmp_path / "1", quick).default() == BEST
    models = offered(tmp_path / "2", quick, slow)
    assert models.default() == MAIN
    assert models.seconds() == {MAIN: 0.7, BEST: 3.0}
    models.check(BEST)


def test_the_workers_of_a_model_s_own_queue_decide(tmp_path: Path) -> None:
    routes = f"{BEST}=gpu"
    models = offered(tmp_path, worker(SMALL), worker(SMALL, BEST, queue="gpu"), routes=routes)
    models.check(BEST)
    with pytest.raises(ModelNotInstalled):
        models.check(MAIN)
    assert models.default() == SMALL


def test_without_live_workers_the_own_folder_stands_for_them(tmp_path: Path) -> None:
    models = offered(tmp_path, installed=MAIN)
    assert stages(models)[MAIN] is Stage.INSTALLED
    models.check(MAIN)
    with pytest.raises(ModelNotInstalled):
        models.check(BEST)


def test_without_redis_the_own_folder_stands_for_them(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    models = AvailableModels(store, StubJobs(is_reachable=False), Settings(data_dir=tmp_path))
    assert models.default() == SMALL
    assert stages(models)[SMALL] is Stage.EMBEDDED


def test_a_model_that_does_not_exist_is_unknown_wherever_workers_run(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        offered(tmp_path, worker(SMALL)).check("nonsense")


def test_a_model_that_is_set_is_the_default(tmp_path: Path) -> None:
    assert offered(tmp_path, worker(SMALL, MAIN), model=SMALL).default() == SMALL


def test_what_a_worker_has_found_a_moment_ago_is_not_refused(tmp_path: Path) -> None:
    jobs = StubJobs(worker(SMALL))
    models = AvailableModels(ModelStore(tmp_path / "models"), jobs, Settings(data_dir=tmp_path))
    assert MAIN not in models.usable()
    jobs._live = [worker(SMALL, MAIN)]
    models.check(MAIN)

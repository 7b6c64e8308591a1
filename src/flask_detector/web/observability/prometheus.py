"""Metrics of the whole installation in Prometheus' text format.

Counts and durations are what all processes have added up in Redis; the rest is looked up when asked for.
"""

import shutil
from collections.abc import Iterator

import redis
from flask import current_app
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.exposition import generate_latest

from flask_detector._version import __version__
from flask_detector.errors import BrokerUnavailable, codes
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.process.logs import short
from flask_detector.service import metrics
from flask_detector.service.metrics import Measure, Reading
from flask_detector.web.core.service import Service
from flask_detector.web.observability import processes as presence
from flask_detector.web.observability import request_log
from flask_detector.web.observability.processes import Process

__all__ = ["CONTENT_TYPE", "text"]

# Of all statuses those of which already the first one is worth an alarm.
_FAILED = ("500", "503")


def text(service: Service) -> bytes:
    """Return all metrics; those from Redis are left out while it can't be reached."""
    registry = CollectorRegistry()
    registry.register(_Collector(service))
    return generate_latest(registry)


class _Collector:
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("detector", "Version of flask-detector.", value={"version": __version__})
        yield from self._of_data()
        own = request_log.current().presence.processes()
        try:
            workers = self._service.jobs.workers()
            others = [*presence.read(self._service.connection), *map(_process, workers)]
            found = [*self._of_redis(), *self._of_queue(), *_of_workers(workers), *self._sums(workers)]
            up = 1
        except (redis.RedisError, BrokerUnavailable):
            others, found, up = [], [], 0
        yield GaugeMetricFamily("detector_redis_up", "1 while this web process can reach Redis.", value=up)
        yield _memory([*others, *own])
        yield from found

    def _of_data(self) -> Iterator[Metric]:
        folder = self._service.settings.data_dir
        if folder.exists():
            yield GaugeMetricFamily(
                "detector_data_free_bytes",
                "Free disk space of the web process's data folder.",
                value=shutil.disk_usage(folder).free,
            )

    def _of_redis(self) -> Iterator[Metric]:
        facts = self._service.connection.info("memory")
        assert isinstance(facts, dict)  # noqa: S101  # the client is not an asynchronous one
        yield GaugeMetricFamily(
            "detector_redis_memory_bytes", "Memory that Redis uses.", value=facts["used_memory"]
        )
        yield GaugeMetricFamily(
            "detector_redis_memory_limit_bytes", "Redis's maxmemory; 0 for none.", value=facts["maxmemory"]
        )

    def _of_queue(self) -> Iterator[Metric]:
        numbers = self._service.overview.numbers()
        for name, what, value in [
            ("detector_queue_waiting", "Waiting pictures.", numbers.waiting),
            ("detector_queue_limit", "Maximum number of waiting pictures.", self._service.settings.max_queue),
            ("detector_queue_running", "Running detections.", numbers.running),
            ("detector_queue_oldest_seconds", "Age of the oldest waiting picture.", numbers.oldest_seconds),
        ]:
            yield GaugeMetricFamily(name, what, value=value)

    def _sums(self, workers: list[WorkerInfo]) -> Iterator[Metric]:
        families = {measure.name: _family(measure) for measure in metrics.MEASURES}
        models = {info.name for info in self._service.models.known()}
        models |= {worker.model for worker in workers if worker.model}
        for reading in metrics.read(self._service.connection, _known(models)):
            _add(families[reading.measure.name], reading)
        yield from families.values()


def _known(models: set[str]) -> Iterator[tuple[Measure, tuple[str, ...]]]:
    """Yield the measures whose labels are known before anything happens, with these labels."""
    yield metrics.RETRIES, ()
    yield metrics.WAITING_SECONDS, ()
    yield from ((metrics.FAILURES, (code,)) for code in codes())
    for model in models:
        yield metrics.DETECTION_SECONDS, (model,)
    for model in (*models, metrics.NO_MODEL):
        yield from ((metrics.DETECTIONS, (model, outcome)) for outcome in metrics.OUTCOMES)
    for rule in current_app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield from (
                (metrics.REQUESTS, (method, request_log.route_of(rule), status)) for status in _FAILED
            )


def _process(worker: WorkerInfo) -> Process:
    return Process("worker", worker.host, worker.pid, short(worker.name), worker.memory)


def _memory(processes: list[Process]) -> Metric:
    family = GaugeMetricFamily(
        "detector_process_memory_bytes",
        "Resident memory of a web process, a worker or a supervisor.",
        labels=["kind", "host", "process", "name"],
    )
    # A process may be listed twice; the last entry is the newest.
    told = {(one.kind, one.host, str(one.process), one.name): one.memory for one in processes}
    for labels, memory in told.items():
        family.add_metric(labels, memory)
    return family


def _of_workers(workers: list[WorkerInfo]) -> Iterator[Metric]:
    labels = ["host", "process", "name", "model"]
    up = GaugeMetricFamily("detector_worker_up", "1 for a worker with a recent heartbeat.", labels=labels)
    busy = GaugeMetricFamily(
        "detector_worker_busy", "1 while the worker is processing a picture.", labels=labels
    )
    for worker in workers:
        named = [worker.host, str(worker.pid), short(worker.name), worker.model]
        up.add_metric(named, 1)
        busy.add_metric(named, int(worker.busy))
    yield GaugeMetricFamily("detector_workers", "Workers with a recent heartbeat.", value=len(workers))
    yield from (up, busy)


def _family(measure: Measure) -> Metric:
    kind = HistogramMetricFamily if measure.bounds else CounterMetricFamily
    return kind(measure.name, measure.help, labels=measure.labels)


def _add(family: Metric, reading: Reading) -> None:
    if isinstance(family, CounterMetricFamily):
        family.add_metric(reading.labels, reading.total)
        return
    assert isinstance(family, HistogramMetricFamily)  # noqa: S101  # there are these two kinds
    buckets, count = [], 0
    for bound, number in zip([*map(str, reading.measure.bounds), "+Inf"], reading.buckets, strict=True):
        count += number
        buckets.append((bound, float(count)))
    family.add_metric(reading.labels, buckets, reading.total)

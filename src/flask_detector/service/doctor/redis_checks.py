"""Looks Redis over: whether it answers and takes writes, what it does with them, its clock, its workers."""

import time
from pathlib import Path
from typing import cast

import redis

from flask_detector.broker.append_only_file import find_damage
from flask_detector.broker.connection import check, connect
from flask_detector.broker.local_server import LocalRedis
from flask_detector.broker.server_program import OLDEST, find_server, written_by
from flask_detector.errors import BrokerUnavailable
from flask_detector.jobs.queue import Jobs
from flask_detector.service.doctor.finding import Finding, Findings, Level, ok
from flask_detector.settings import Settings

_MOST_CLOCK_SECONDS = 2.0


def redis_findings(settings: Settings) -> Findings:
    """Yield what is found of Redis and of the workers that it knows; raises DetectorError and RedisError."""
    url = settings.redis_url
    if url is None:
        folder = settings.data_dir / "redis"
        try:
            with connect(LocalRedis(folder).url) as connection:
                check(connection)
                yield from _running_redis(settings, connection)
        except BrokerUnavailable:
            yield from _redis_to_start(folder)
        return
    with connect(settings.required_redis_url) as connection:
        check(connection)
        yield from _running_redis(settings, connection)


def _redis_to_start(folder: Path) -> Findings:
    server, writer = find_server(folder), written_by(folder)
    yield ok("redis", f"None runs now; 'flask-detector serve' starts {server.path}, {server.release}.")
    if not server.release.surely_reads(writer):
        yield Finding(
            "redis",
            Level.PROBLEM,
            f"The data in {folder} were written by {writer}, which {server.release} may not be able to read.",
            f"Install {writer} or newer.",
        )
    elif (damage := find_damage(folder, server.path)) is not None:
        level = Level.WARNING if damage.may_be_cut_off else Level.PROBLEM
        yield Finding("redis", level, damage.message, damage.hint)


def _running_redis(settings: Settings, connection: redis.Redis) -> Findings:
    facts = cast(dict[str, str | int], connection.info())
    # Valkey tells an old Redis's version as well, for programs that know Redis alone.
    name, version = (
        ("Valkey", facts["valkey_version"])
        if "valkey_version" in facts
        else ("Redis", facts["redis_version"])
    )
    yield ok("redis", f"{name} {version} answers.")
    if tuple(int(part) for part in str(version).split(".")[:2]) < OLDEST:
        yield Finding("redis", Level.PROBLEM, f"{name} {version} is too old.", "Install 6.2 or newer.")
    if not facts.get("aof_enabled"):
        yield Finding(
            "redis",
            Level.WARNING,
            "Redis does not write each change to disk: what waits is lost when it stops.",
            "Set 'appendonly yes' in its configuration.",
        )
    elif settings.sync_writes:
        yield from _syncing_redis(connection)
    yield from _writable_redis(connection)
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield Finding(
            "redis",
            Level.PROBLEM,
            f"Redis may throw records away when its memory is full ({policy}).",
            "Set 'maxmemory-policy noeviction' in its configuration.",
        )
    seconds, microseconds = connection.time()
    ahead = time.time() - (seconds + microseconds / 1e6)
    if abs(ahead) > _MOST_CLOCK_SECONDS:
        yield Finding(
            "redis",
            Level.WARNING,
            f"The clocks of this machine and of Redis's are {abs(ahead):.0f} s apart.",
            "Let both follow a time server: shown times are wrong else, webhooks and buckets refuse them.",
        )
    workers = Jobs(connection, settings).workers()
    if any(worker.model for worker in workers):
        yield ok("workers", f"{len(workers)} at work or ready.")
    else:
        yield Finding(
            "workers",
            Level.WARNING,
            "No worker with a model was heard of in the last ten seconds.",
            "Start one: 'flask-detector serve', or 'flask-detector worker' beside a web process.",
        )


def _syncing_redis(connection: redis.Redis) -> Findings:
    try:
        found = cast(dict[str, str], connection.config_get("appendfsync"))
    except redis.ResponseError:  # many hosts let nobody ask
        return
    if found.get("appendfsync", "always") != "always":
        yield Finding(
            "redis",
            Level.WARNING,
            "Despite DETECTOR_SYNC_WRITES a power cut can take what Redis accepted in the last seconds.",
            "Set 'appendfsync always' in its configuration.",
        )


def _writable_redis(connection: redis.Redis) -> Findings:
    try:
        connection.set("flask-detector:doctor", "probe", px=1000)
    except redis.exceptions.OutOfMemoryError:
        message = "Redis's memory is full: nothing is accepted."
        hint = "Give it more (maxmemory), or let less lie there: lower DETECTOR_RETENTION_HOURS."
    except redis.ReadOnlyError:
        message = "This Redis follows another one and takes no writes."
        hint = "Let REDIS_URL name the one that leads, or the sentinels that know it."
    except redis.ResponseError as error:
        message = f"Redis takes no writes: {str(error).partition(' ')[0]}."
        hint = "Look at its log: its disk may be full, its replicas away, or this user not allowed to write."
    else:
        return
    yield Finding("redis", Level.PROBLEM, message, hint)

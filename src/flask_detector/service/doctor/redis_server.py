"""Whether Redis is running, accepts writes, and keeps what it accepts."""

import time
from pathlib import Path
from typing import cast

import redis

from flask_detector.broker.append_only_file import find_damage
from flask_detector.broker.connection import check as check_connection
from flask_detector.broker.server_program import OLDEST, find_server, written_by
from flask_detector.errors import BrokerUnavailable
from flask_detector.service.doctor.finding import Finding, Findings, Level, ok, problem, warning
from flask_detector.service.launch import connect_to_installation
from flask_detector.settings import Settings

_MAX_CLOCK_SECONDS = 2.0


def check(settings: Settings) -> Findings:
    """Report on the Redis that REDIS_URL names, else on our own; raises DetectorError."""
    try:
        with connect_to_installation(settings) as connection:
            check_connection(connection)
            yield from _running(settings, connection)
    except BrokerUnavailable:
        if settings.redis_url is not None:
            raise
        yield from _not_started(settings.data_dir / "redis")
    except redis.RedisError as error:
        yield problem(f"The check failed: {error}.", "See Redis's log; docs/redis.md lists the requirements.")


def _not_started(folder: Path) -> Findings:
    server, writer = find_server(folder), written_by(folder)
    yield ok(f"Not running; 'flask-detector serve' starts {server.path}, {server.release}.")
    if not server.release.surely_reads(writer):
        yield problem(
            f"The data in {folder} were written by {writer}, which {server.release} may not be able to read.",
            f"Install {writer} or newer.",
        )
    elif (damage := find_damage(folder, server.path)) is not None:
        level = Level.WARNING if damage.may_be_cut_off else Level.PROBLEM
        yield Finding(level, damage.message, damage.hint)


def _running(settings: Settings, connection: redis.Redis) -> Findings:
    facts = cast(dict[str, str | int], connection.info())
    # For programs that know only Redis, Valkey also reports the version of an old Redis.
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = str(facts[f"{name.lower()}_version"])
    yield ok(f"{name} {version} is running.")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        yield problem(f"{name} {version} is too old.", "Install 6.2 or newer.")
    if not facts.get("aof_enabled"):
        yield warning(
            "Redis does not persist changes to disk: the queue is lost when it stops.",
            "Set 'appendonly yes' in its configuration.",
        )
    elif settings.sync_writes and not _syncs(connection):
        yield warning(
            "Despite DETECTOR_SYNC_WRITES, a power cut can lose the last seconds of Redis data.",
            "Set 'appendfsync always' in its configuration.",
        )
    yield from _writes(connection)
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield problem(
            f"Redis may evict records when its memory is full ({policy}).",
            "Set 'maxmemory-policy noeviction' in its configuration.",
        )
    seconds, microseconds = connection.time()
    ahead = time.time() - (seconds + microseconds / 1e6)
    if abs(ahead) > _MAX_CLOCK_SECONDS:
        yield warning(
            f"The clocks of this machine and of Redis are {abs(ahead):.0f} s apart.",
            "Synchronise both with a time server; otherwise the times shown are wrong, and webhooks and "
            "buckets reject requests.",
        )


def _syncs(connection: redis.Redis) -> bool:
    try:
        found = cast(dict[str, str], connection.config_get("appendfsync"))
    except redis.ResponseError:  # many hosting providers disable CONFIG
        return True
    return found.get("appendfsync", "always") == "always"


def _writes(connection: redis.Redis) -> Findings:
    try:
        connection.set("flask-detector:doctor", "probe", px=1000)
    except redis.exceptions.OutOfMemoryError:
        yield problem(
            "Redis's memory is full: it accepts no writes.",
            "Raise maxmemory, or store less: lower DETECTOR_RETENTION_HOURS.",
        )
    except redis.ReadOnlyError:
        yield problem(
            "This Redis is a replica and accepts no writes.",
            "Point REDIS_URL at the primary, or at the sentinels.",
        )
    except redis.ResponseError as error:
        yield problem(
            f"Redis accepts no writes: {str(error).partition(' ')[0]}.",
            "See its log: its disk may be full, its replicas missing, or this user not allowed to write.",
        )

"""`flask-detector serve`, `web` and `worker`."""

import click

from flask_detector.settings import Settings


@click.command()
@click.option("--host", help="The IP address to listen on; 0.0.0.0 for all interfaces.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Run everything: web server, workers and, unless REDIS_URL is set, Redis."""
    from flask_detector.service.launch import serve as run_all

    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    run_all(Settings.from_environment(**given))


@click.command()
def web() -> None:
    """Run only the web server; requires REDIS_URL."""
    from flask_detector.process.memory import give_back_large_blocks
    from flask_detector.web.server.gunicorn_app import run

    give_back_large_blocks()
    run(Settings.from_environment())


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    help="Number of workers; several are supervised, and restarted one by one on SIGHUP.",
)
@click.option("--queue", help="Queue to process, instead of DETECTOR_QUEUE.")
def worker(workers: int, queue: str | None) -> None:
    """Run only workers; requires REDIS_URL."""
    given = {} if queue is None else {"queue": queue}
    if workers > 1:
        from flask_detector.service.launch import work as run_several

        run_several(Settings.from_environment(**given), workers)

    from flask_detector.broker.connection import check, connect
    from flask_detector.process.memory import give_back_large_blocks
    from flask_detector.storage import open_storage
    from flask_detector.worker.rq_worker import main as work

    give_back_large_blocks()
    settings = Settings.from_environment(**given)
    connection = connect(settings.required_redis_url)
    check(connection)
    storage = open_storage(settings)
    storage.check()
    work(settings, connection, storage)

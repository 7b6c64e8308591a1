"""One client that sends as fast as it can, and another one that sends a picture now and then."""

import threading
import time
from collections import Counter

import pytest

from tests.support.installation import Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FLOODING, CALM = "127.0.0.2", "127.0.0.3"
SENDERS = 16
SHARE = 60
SETTINGS = {"DETECTOR_MAX_QUEUE_PER_CLIENT": str(SHARE)}
CALM_PICTURES = 6


def test_under_one_clients_flood_another_is_accepted_at_once_and_waits_for_no_more_than_a_share(
    installation: Installation, recovered: Recovered
) -> None:
    for _ in range(2):
        installation.start_faulty_worker()
    answers: Counter[int] = Counter()
    flood: list[str] = []
    is_over = threading.Event()

    def send_on() -> None:
        data = picture("wait 0.03")
        while not is_over.is_set():
            answer = installation.send(data, sender=FLOODING)
            answers[answer.status] += 1
            if answer.status == 202:
                flood.append(answer.form["id"])
            else:
                assert int(answer.headers["Retry-After"]) > 0
                time.sleep(0.05)  # or it would take the machine, not only the queue

    threads = [threading.Thread(target=send_on) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: answers[429] > 0, 60)
        calm: list[str] = []
        ahead = []
        for _ in range(CALM_PICTURES):
            answer = installation.send(picture(), sender=CALM)
            assert answer.status == 202, "the first time"
            calm.append(answer.form["id"])
            ahead.append(installation.record(calm[-1]).position or 0)
            time.sleep(0.5)
        waited = [_waited(installation, id) for id in calm]
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)
    recovered("one client floods: longest wait of another's picture", max(waited))
    # Each sender may have found the last free place.
    assert max(ahead) <= SHARE + SENDERS + CALM_PICTURES
    assert answers[429] > answers[202]
    assert set(answers) == {202, 429}
    assert installation.outcomes([*flood, *calm]) == {"done": len(flood) + CALM_PICTURES}


def _waited(installation: Installation, id: str) -> float:
    """Return the seconds from a picture's acceptance until its result."""
    record = installation.wait_for(id)
    assert record.ended_at is not None
    return (record.ended_at - record.created_at).total_seconds()

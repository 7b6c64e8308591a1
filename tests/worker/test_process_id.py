"""Processes that can tell that another one on the same machine has died."""

import os
import subprocess
import sys

import pytest

from flask_detector.worker import process_id

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the places of processes are read from /proc")


def test_a_process_that_lives_is_at_its_place() -> None:
    assert not process_id.has_died(process_id.of_this_process())


def test_a_place_has_died_once_its_process_ended_even_before_its_parent_took_notice() -> None:
    program = (
        "from flask_detector.worker import process_id as p; print(p.of_this_process(), flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    there = child.stdout.readline().strip()
    assert not process_id.has_died(there)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_id.has_died(there)
    child.wait(10)
    assert process_id.has_died(there)
    child.stdin.close()
    child.stdout.close()


def test_another_process_with_the_same_number_is_another_place() -> None:
    machine, number, _ = process_id.of_this_process().rsplit(" ", 2)
    assert process_id.has_died(f"{machine} {number} 1")


@pytest.mark.parametrize("there", ["", "elsewhere", "another-boot pid:[4026531836] 1 5", "a b c d e"])
def test_of_what_is_elsewhere_nothing_is_known(there: str) -> None:
    assert not process_id.has_died(there)

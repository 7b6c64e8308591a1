"""Run the fuzzing for some seconds and print what the files came to; exit status 1 when one did harm."""

import argparse
import json
import random
import select
import struct
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st

from fuzz.mutations import Change, changed, changed_json, changes, with_checksums
from fuzz.seeds import seeds
from fuzz.victim import TARGETS

# Longer than any file of these sizes takes, on a busy machine.
_HANG_SECONDS = 30.0

# Over what the process needs with its libraries loaded: pictures of four megapixels, several times over.
_MOST_MEGABYTES = 700

_EXAMPLES_A_ROUND = 2000

# A busy machine may take longer for as many than it was given; fewer would prove little.
_FEWEST_FILES = 60


class Harm(AssertionError):
    """A file ended the process, hung it, filled its memory or raised what no caller expects."""


class Victim:
    """A process that reads files; a new one is started in place of one that died."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None
        self.peak_kb = 0

    def give(self, data: bytes) -> str:
        """Return what a file came to; raises Harm."""
        if self._process is None:
            command = [sys.executable, "-m", "fuzz.victim", self._target]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        process = self._process
        assert process.stdin is not None  # noqa: S101  # it is a pipe
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        try:
            process.stdin.write(struct.pack("<I", len(data)) + data)
            process.stdin.flush()
        except BrokenPipeError:
            self._report_death()
        if not select.select([process.stdout], [], [], _HANG_SECONDS)[0]:
            self.end()
            raise Harm(f"it took longer than {_HANG_SECONDS:g} s")
        line = process.stdout.readline()
        if not line:
            self._report_death()
        answer: dict[str, Any] = json.loads(line)
        self.peak_kb = max(self.peak_kb, answer["peak_kb"])
        if answer["peak_kb"] > _MOST_MEGABYTES * 1024:
            self.end()
            raise Harm(f"it needed {answer['peak_kb'] // 1024} MB")
        if "error" in answer:
            raise Harm(f"it raised {answer['error']}")
        return str(answer["outcome"])

    def end(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(BrokenPipeError):
                    if pipe is not None:
                        pipe.close()
            self._process = None

    def _report_death(self) -> None:
        assert self._process is not None  # noqa: S101  # it was just used
        status = self._process.wait()
        self.end()
        raise Harm(f"the process ended with status {status}")


def fuzz(target: str, *, seconds: float, seed: int, folder: Path | None, keep: Path) -> bool:
    """Give mutated files to a target for some seconds, 60 at least; tell whether all went well.

    keep: where a harmful file is written, as small a change of a good one as was found.
    """
    good = seeds(target, folder)
    names = sorted(good)
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    victim, harmful = Victim(target), 0
    for name in names:
        if victim.give(good[name]) != "used":
            raise SystemExit(f"the good file {name!r} is not used: the fuzzing would prove little")
    deadline = time.monotonic() + seconds

    def is_over() -> bool:
        given = sum(counts.total() for counts in outcomes.values())
        return time.monotonic() > deadline and (harmful > 0 or given >= _FEWEST_FILES)

    while not is_over():
        worst = bytearray()

        @with_seed(seed)
        @settings(
            max_examples=_EXAMPLES_A_ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.sampled_from(names), changes(), st.booleans())
        def one_round(name: str, wanted: list[Change], is_kept_whole: bool) -> None:
            if not worst and is_over():  # noqa: B023  # used within the round alone
                return
            as_json = target in {"annotations", "results"} or (
                is_kept_whole and good[name][:1] in {b"{", b"["}
            )
            data = (changed_json if as_json else changed)(good[name], wanted)
            if is_kept_whole:
                data = with_checksums(data)
            try:
                outcomes[name][victim.give(data)] += 1
            except Harm:
                worst[:] = data  # noqa: B023  # as above
                raise

        try:
            one_round()
        except Harm as harm:
            harmful += 1
            keep.mkdir(parents=True, exist_ok=True)
            path = keep / f"{target}-{seed}.bin"
            path.write_bytes(worst)
            print(f"HARM: {harm} ({len(worst)} bytes, kept as {path})")
        seed += 1
    victim.end()
    _print_table(target, outcomes, victim.peak_kb)
    return harmful == 0


def _print_table(target: str, outcomes: dict[str, Counter[str]], peak_kb: int) -> None:
    kinds = sorted({kind for counts in outcomes.values() for kind in counts})
    print(f"| {target} | files | {' | '.join(kinds)} |")
    print(f"| --- | {'---: | ' * (len(kinds) + 1)}")
    total: Counter[str] = Counter()
    for name, counts in sorted(outcomes.items()):
        total += counts
        print(f"| {name} | {counts.total()} | {' | '.join(str(counts[kind]) for kind in kinds)} |")
    print(f"| all | {total.total()} | {' | '.join(str(total[kind]) for kind in kinds)} |")
    print(f"Peak memory of the process: {peak_kb // 1024} MB.")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--seed", type=int, default=None, help="for the same files again; otherwise it is random"
    )
    parser.add_argument("--folder", type=Path, help="a folder of more good files")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-harm"), help="where harmful files are written"
    )
    given_ = parser.parse_args()
    seed = random.randrange(2**32) if given_.seed is None else given_.seed
    print(f"seed {seed}")
    well = fuzz(given_.target, seconds=given_.seconds, seed=seed, folder=given_.folder, keep=given_.keep)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()

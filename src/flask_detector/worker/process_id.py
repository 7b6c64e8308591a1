"""Where a process runs, so that another one on the same machine can tell that it died, at once."""

import os
from pathlib import Path

_PROC = Path("/proc")


def of_this_process() -> str:
    """Return where this process runs; empty where the system tells too little (Linux does not)."""
    return of_process(os.getpid())


def of_process(pid: int) -> str:
    """Return where a process of this machine runs; empty where the system tells too little."""
    try:
        return f"{_machine()} {pid} {_started(pid)}"
    except (OSError, LookupError):
        return ""


def has_died(location: str) -> bool:
    """Tell whether the process of that location is known to have died.

    One elsewhere, or in another container, is never known to have.
    """
    machine, _, process = location.rpartition(" ")[0].rpartition(" ")
    try:
        if not machine or machine != _machine():
            return False
        return _started(int(process)) != location.rpartition(" ")[2]
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (OSError, LookupError, ValueError):
        return False


def _machine() -> str:
    """Return what tells one running system, and one space of process ids on it, from all others."""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"


def _started(process: int) -> str:
    """Return when a process started, in clock ticks since the system did (proc(5)); "dead" once it ended.

    A process that ended stays in the list until its parent takes notice.
    """
    fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    return "dead" if fields[0] in {"Z", "X"} else fields[19]

"""Disks so small that a test can fill them, which only the processes of an installation see."""

import errno
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


class SmallDisks:
    """Mounts one at each folder, in a mount namespace of its own; skips the test where it may not."""

    def __init__(self, *folders: Path, megabytes: int) -> None:
        if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
            pytest.skip("only root of a Linux can mount disks")
        mounts = []
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            mounts.append(f"mount -t tmpfs -o size={megabytes}m tmpfs {shlex.quote(str(folder))}")
        # It ends when this process does, whose pipe it reads.
        script = " && ".join([*mounts, "echo mounted", "exec cat"])
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            _, why = self._holder.communicate(timeout=10)
            pytest.skip(f"mounting is refused here: {why.decode().strip()}")
        self._bytes = megabytes << 20
        self.within = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--"]

    def seen(self, folder: Path) -> Path:
        """Return where this process finds what lies in a folder of theirs."""
        return Path(f"/proc/{self._holder.pid}/root{folder}")

    def fill(self, folder: Path) -> None:
        """Fill the disk at a folder to its last byte, and no other disk."""
        assert self.seen(folder).stat().st_dev != folder.stat().st_dev, "the small disk is not there any more"
        size = 1 << 20
        with self._filler(folder).open("ab", buffering=0) as file:
            while size and file.tell() <= self._bytes:
                try:
                    file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2
            assert file.tell() <= self._bytes

    def free(self, folder: Path) -> None:
        """Take away what filled it."""
        self._filler(folder).unlink()

    def close(self) -> None:
        """Let the disks go, once nobody uses them any more."""
        self._holder.communicate(timeout=10)

    def _filler(self, folder: Path) -> Path:
        return self.seen(folder) / "filler"

import subprocess
import sys

import pytest

# mallinfo2(3): how many bytes lie in blocks of their own.
PROGRAM = """
import ctypes, sys
from flask_detector.process.memory import give_back_large_blocks, give_back_unused

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]

library = ctypes.CDLL("libc.so.6")
library.mallinfo2.restype = Info
library.malloc.restype = ctypes.c_void_p
if sys.argv[1] == "with":
    give_back_large_blocks()
    give_back_unused()
library.free.argtypes = [ctypes.c_void_p]
large = ctypes.c_size_t(9_000_000)
library.free(library.malloc(large))  # after this glibc by itself would keep the next one's room
before = library.mallinfo2().hblkhd
library.malloc(large)
print(library.mallinfo2().hblkhd - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the options are glibc's")
@pytest.mark.parametrize(("how", "least", "most"), [("with", 9_000_000, 9_010_000), ("without", 0, 0)])
def test_large_blocks_are_mapped_one_by_one(how: str, least: int, most: int) -> None:
    command = [sys.executable, "-c", PROGRAM, how]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert least <= int(answer.stdout) <= most


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts this memory")
def test_more_memory_than_is_allowed_is_an_error_and_not_the_end() -> None:
    program = """
from flask_detector.process import memory
memory.limit(memory.writable_bytes() + 50_000_000)
kept = bytearray(20_000_000)
try:
    bytearray(100_000_000)
except MemoryError:
    print("refused", len(bytearray(20_000_000)))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "refused 20000000"

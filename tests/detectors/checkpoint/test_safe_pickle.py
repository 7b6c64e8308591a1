"""Checkpoints that lie about what they hold: refused, without a crash and without memory."""

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.errors import CheckpointError, UnsafeCheckpoint

Write = Callable[[bytes, dict[str, int]], bytes]

MEGABYTE_NUMBER = 1 << 8_000_000


def zipped(program: bytes, counts: dict[str, int]) -> bytes:
    """Return a file of PyTorch's zip layout; counts are the 4-byte elements that it really has."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for key, count in counts.items():
            archive.writestr(f"archive/data/{key}", bytes(4 * count))
    return file.getvalue()


def streamed(program: bytes, counts: dict[str, int]) -> bytes:
    """Return a file of the layout before that."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    data = b"".join(struct.pack("<q", count) + bytes(4 * count) for count in counts.values())
    return b"".join(pickle.dumps(part, 2) for part in head) + program + pickle.dumps(list(counts), 2) + data


def program(*instructions: bytes) -> bytes:
    return b"\x80\x02" + b"".join(instructions) + b"."


def value(plain: object) -> bytes:
    return pickle.dumps(plain, 2)[2:-1]


def storage(count: object, kind: str = "FloatStorage", key: str = "0") -> bytes:
    return b"(%bctorch\n%b\n%b%b%btQ" % (
        value("storage"),
        kind.encode(),
        value(key),
        value("cpu"),
        value(count),
    )


def tensor(
    shape: Sequence[object],
    strides: Sequence[object],
    count: object,
    offset: object = 0,
    kind: str = "FloatStorage",
) -> bytes:
    place = value(offset) + value(tuple(shape)) + value(tuple(strides))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(%b%b\x89}tR" % (storage(count, kind), place)


def state_dict(weight: bytes) -> bytes:
    return program(b"}", value("weight"), weight, b"s")


@pytest.fixture(params=[zipped, streamed])
def write(request: pytest.FixtureRequest) -> Write:
    """A function that makes a file of a program and the sizes of the storages; of either layout."""
    chosen: Write = request.param
    return chosen


def test_an_honest_file_is_read(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "honest.pth"
    path.write_bytes(write(state_dict(tensor((2, 3), (3, 1), 6)), {"0": 6}))
    assert np.array_equal(read_checkpoint(path).tensors["weight"].array(), np.zeros((2, 3), np.float32))


PLACES = {
    "as MMDetection": [(b"state_dict", True), (b"ema_state_dict", True), (b"epoch", False)],
    "as torchvision": [(b"model", True), (b"model_ema", True), (b"optimizer", False)],
    "as PyTorch's tutorials": [(b"epoch", False), (b"model_state_dict", True)],
    "under a name of one's own": [(b"epoch", False), (b"my_weights", True)],
}


@pytest.mark.parametrize("place", PLACES)
def test_the_state_dict_is_found_among_what_else_is_saved(write: Write, place: str, tmp_path: Path) -> None:
    weight = tensor((2, 3), (3, 1), 6)
    entries = [
        value(key.decode())
        + ((b"}" + value("weight") + weight + b"s") if full else value({"step": 3}))
        + b"s"
        for key, full in PLACES[place]
    ]
    path = tmp_path / "saved.pth"
    path.write_bytes(write(program(b"}", *entries), {"0": 6}))
    assert list(read_checkpoint(path).tensors) == ["weight"]


def test_a_tensor_with_attributes_is_a_tensor(write: Write, tmp_path: Path) -> None:
    plain = tensor((2, 3), (3, 1), 6)
    arguments = plain[len(b"ctorch._utils\n_rebuild_tensor_v2\n") : -1]
    kind, state = b"ctorch.nn.parameter\nParameter\n", value({"note": "kept by nobody"})
    whole = b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n%b%b%btR"
    path = tmp_path / "attributes.pth"
    path.write_bytes(write(state_dict(whole % (kind, arguments, state)), {"0": 6}))
    assert read_checkpoint(path).tensors["weight"].shape == (2, 3)


CONFIGURATION = (
    # An object with a state, one made of a value, one that is filled like a list, and a key that is one.
    b"comegaconf.dictconfig\nDictConfig\n)\x81}b",
    b"c__main__\nStage\nK\x01\x85R",
    b"cmine.lists\n_Names\n)R(K\x01K\x02eK\x03a",
    b"}c__main__\nStage\nK\x01\x85RK\x01s",
    b"cfunctools\npartial\nctorch.optim.adamw\nAdamW\n\x85R(Ntb",
)


def test_objects_of_a_programs_own_beside_the_weights_are_left_out(write: Write, tmp_path: Path) -> None:
    weights = [value(f"layer{i}.weight") + tensor((2, 3), (3, 1), 6) + b"s" for i in range(20)]
    entries = [value(f"config{i}") + one + b"s" for i, one in enumerate(CONFIGURATION)]
    path = tmp_path / "last.ckpt"
    path.write_bytes(write(program(b"}", value("model"), b"}", *weights, b"s", *entries), {"0": 6}))
    found = read_checkpoint(path)
    assert len(found.tensors) == 20
    assert found.notes == (
        "The objects of omegaconf, __main__, mine, torch beside the weights are left out.",
    )


def test_a_pickled_model_is_none_even_if_its_optimizer_has_tensors(write: Write, tmp_path: Path) -> None:
    saved = [value("model"), b"cmine.models\nDetector\n)\x81}b", b"s"]
    saved += [value("optimizer"), b"}", value("exp_avg"), tensor((2, 3), (3, 1), 6), b"s", b"s"]
    path = tmp_path / "last.ckpt"
    path.write_bytes(write(program(b"}", *saved), {"0": 6}))
    with pytest.raises(UnsafeCheckpoint, match=r"mine\.models\.Detector"):
        read_checkpoint(path)


def test_a_tensor_that_is_made_by_anything_else_is_refused(write: Write, tmp_path: Path) -> None:
    kind = b"ctorch.nn.parameter\nParameter\n"
    whole = b"ctorch._tensor\n_rebuild_from_type_v2\n(c__builtin__\ngetattr\n%b%b}tR"
    path = tmp_path / "attributes.pth"
    path.write_bytes(write(state_dict(whole % (kind, value(("a", "b")))), {"0": 6}))
    with pytest.raises(UnsafeCheckpoint):
        read_checkpoint(path)


LYING = {
    "more elements than the storage": tensor((3, 3), (3, 1), 6),
    "an offset beyond the storage": tensor((1,), (1,), 6, offset=6),
    "strides beyond the storage": tensor((2, 2), (5, 1), 6),
    "strides of 0 that repeat elements": tensor((100_000, 100_000), (0, 0), 6),
    "a negative side": tensor((-1, 6), (6, 1), 6),
    "a negative offset": tensor((2,), (1,), 6, offset=-1),
    "a negative stride": tensor((2,), (-1,), 6, offset=1),
    "a side that is no whole number": tensor((2.0,), (1,), 6),
    "a side that is a text": tensor(("2",), (1,), 6),
    "a side that is true": tensor((True,), (1,), 6),
    "fewer strides than sides": tensor((2, 3), (1,), 6),
    "too many axes": tensor((1,) * 65, (1,) * 65, 6),
    "a huge stride where there is one step": tensor((4, 1), (1, 2**70), 6),
    "a huge side of an empty tensor": tensor((0, 2**70), (1, 1), 6),
    "a huge product of an empty tensor": tensor((0, 2**40, 2**40), (1, 1, 1), 6),
    "a huge stride of an empty tensor": tensor((0, 3), (1, 2**70), 6),
    "sides of a megabyte each": tensor((0, *(MEGABYTE_NUMBER,) * 20), (1,) * 21, 6),
    "terabytes": tensor((2**40,), (1,), 2**40),
    "more bytes than there are numbers for": tensor((2**70,), (1,), 2**70),
    "a storage of negative size": tensor((0,), (1,), -6),
    "a storage whose size is a text": tensor((1,), (1,), "6"),
    "a storage of wider elements": tensor((6,), (1,), 6, kind="DoubleStorage"),
    "a storage of an unknown type": tensor((6,), (1,), 6, kind="Size"),
}


@pytest.mark.parametrize("lie", LYING)
def test_a_tensor_that_its_storage_cannot_hold_is_refused(write: Write, lie: str, tmp_path: Path) -> None:
    path = tmp_path / "lying.pth"
    path.write_bytes(write(state_dict(LYING[lie]), {"0": 6}))
    with pytest.raises(CheckpointError, match=r"lying\.pth"):
        read_checkpoint(path)


def test_a_storage_that_is_missing_is_refused(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "missing.pth"
    path.write_bytes(write(state_dict(tensor((6,), (1,), 6)), {"1": 6}))
    with pytest.raises(CheckpointError, match=r"missing\.pth"):
        read_checkpoint(path)


def test_a_storage_of_two_sizes_is_refused(write: Write, tmp_path: Path) -> None:
    both = [value("a"), tensor((6,), (1,), 6), b"s", value("b"), tensor((5,), (1,), 5), b"s"]
    path = tmp_path / "two.pth"
    path.write_bytes(write(program(b"}", *both), {"0": 6}))
    with pytest.raises(CheckpointError, match="two types or sizes"):
        read_checkpoint(path)


NAMES = [
    "posix system",
    "os system",
    "nt system",
    "builtins eval",
    "builtins exec",
    "torch.nn.modules.conv Conv2d",
    "torch.nn.modules.container Sequential",
    "torch load",
    "torch.jit load",
    "numpy load",
    "numpy.core.multiarray fromfile",
    "numpy.testing._private.utils runstring",
    "pickle loads",
    "importlib import_module",
    "collections namedtuple",
    "collections OrderedDict.fromkeys",
    "functools reduce",
    "flask_detector.detectors.checkpoint.read read_checkpoint",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_not_on_the_list_is_refused_by_name(write: Write, name: str, tmp_path: Path) -> None:
    module, function = name.split(" ")
    by_opcode = f"c{module}\n{function}\n".encode()
    by_texts = value(module) + value(function) + b"\x93"
    path = tmp_path / "calls.pth"
    for named in (by_opcode, by_texts):
        path.write_bytes(write(program(b"}", value("x"), named, value("echo"), b"\x85Rs"), {}))
        with pytest.raises(UnsafeCheckpoint, match=function.rpartition(".")[2]):
            read_checkpoint(path)


@pytest.mark.parametrize(
    "instruction", [b"(" + value("id") + b"iposix\nsystem\n", b"\x82\x01", b"P0\n", b"\x97"]
)
def test_an_instruction_that_no_checkpoint_needs_is_refused(
    write: Write, instruction: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(write(program(instruction), {}))
    with pytest.raises(CheckpointError, match="no checkpoint needs"):
        read_checkpoint(path)


def long_list(length: int) -> bytes:
    """Return a list that can be had again by h\\x00."""
    return b"]q\x00(" + b"K\x01" * length + b"e0"


NESTED = b")" + b"\x85" * 300_000  # a tuple in a tuple in a tuple ...

GREEDY = {
    "a set of a deep tuple": program(b"c__builtin__\nset\n](", NESTED, b"e\x85R"),
    "a deep tuple as a key": program(b"}", NESTED, b"Ns"),
    "a deep tuple as an ordered dict's key": program(b"ccollections\nOrderedDict\n](](", NESTED, b"Nee\x85R"),
    "one list copied often": program(long_list(50_000), b"](", b"ctorch\nSize\nh\x00\x85R" * 3000, b"e"),
    "one list made a set often": program(
        long_list(50_000), b"](", b"c__builtin__\nset\nh\x00\x85R" * 3000, b"e"
    ),
    "one text encoded often": program(
        b"X" + struct.pack("<I", 100_000) + b"a" * 100_000 + b"q\x000](",
        (b"c_codecs\nencode\nh\x00" + value("latin1") + b"\x86R") * 3000,
        b"e",
    ),
    "millions of containers": program(b"(", b"}" * 2_100_000, b"t"),
    "a text of terabytes": program(b"\x8d" + struct.pack("<Q", 2**42) + b"a"),
    "bytes of terabytes": program(b"\x8e" + struct.pack("<Q", 2**42) + b"a"),
    "a number of gigabytes": program(b"\x8b" + struct.pack("<i", 2**31 - 1) + b"a"),
    "a frame of terabytes": program(b"\x95" + struct.pack("<Q", 2**42)),
    "a tensor of terabytes": state_dict(tensor((2**40,), (1,), 2**40)),
}


def megabytes(folder: Path) -> int:
    """Have a folder's files refused in a process of its own; return by how many MB its peak grew."""
    script = """
import sys
from pathlib import Path
from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.errors import CheckpointError

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024

before = peak()
for path in Path(sys.argv[1]).iterdir():
    try:
        read_checkpoint(path)
    except CheckpointError:
        continue
    sys.exit(f"{path.name} was read")
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or f"the process died: {done.returncode}"
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_files_that_ask_for_much_get_little(tmp_path: Path) -> None:
    for i, greedy in enumerate(GREEDY.values()):
        write = (zipped, streamed)[i % 2]
        (tmp_path / f"{i}.pth").write_bytes(write(greedy, {}))
    # The longest of the files has 2 MB; as many empty containers, where it is refused, have about 150.
    assert megabytes(tmp_path) < 200


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "header.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 2 * 2**30) + b"{")
        file.truncate(3 * 2**30)  # a hole: it takes no room on the disk
    assert megabytes(tmp_path) < 20


def directory_field(archive: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """Return an archive with a field changed in its directory's entry of that name."""
    start = archive.rindex(name) - 46
    assert archive[start : start + 4] == b"PK\x01\x02"
    return archive[: start + offset] + value + archive[start + offset + len(value) :]


HONEST = zipped(state_dict(tensor((6,), (1,), 6)), {"0": 6})
SIZES = {"compressed": 20, "plain": 24, "place": 42}


LIES = [
    (name, field, number)
    for name in (b"archive/data.pkl", b"archive/data/0")
    for field in SIZES
    for number in (0, 1, 23, 25, 1000, 2**31, 2**32 - 2)
    if (name, field, number) != (b"archive/data.pkl", "place", 0)  # that is where it is
]


@pytest.mark.parametrize(("name", "field", "number"), LIES)
def test_an_entry_that_lies_about_its_size_or_place_is_refused(
    name: bytes, field: str, number: int, tmp_path: Path
) -> None:
    path = tmp_path / "entry.pth"
    path.write_bytes(directory_field(HONEST, name, SIZES[field], struct.pack("<I", number)))
    with pytest.raises(CheckpointError, match=r"entry\.pth"):
        read_checkpoint(path)


def test_an_entry_that_lies_about_both_its_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "entry.pth"
    for number in (0, 1, 23, 25, 1000, 2**31, 2**32 - 2):
        sizes = struct.pack("<II", number, number)
        path.write_bytes(directory_field(HONEST, b"archive/data/0", 20, sizes))
        with pytest.raises(CheckpointError, match=r"entry\.pth"):
            read_checkpoint(path)


def test_many_names_of_one_large_part_are_refused(tmp_path: Path) -> None:
    keys = {str(key): 5000 for key in range(10)}
    weights = [value(key) + tensor((1,), (1,), 5000).replace(value("0"), value(key)) + b"s" for key in keys]
    archive = zipped(program(b"}", *weights), keys)
    path = tmp_path / "overlapping.pth"
    path.write_bytes(archive)
    assert len(read_checkpoint(path).tensors) == len(keys)
    first = archive.rindex(b"archive/data/0") - 46
    for key in keys:
        archive = directory_field(
            archive, f"archive/data/{key}".encode(), 42, archive[first + 42 : first + 46]
        )
    # Nine parts' data are cut out: one part of 20 kB is left, and a directory that names it ten times.
    begin = archive.index(b"PK\x03\x04", archive.index(b"archive/data/0") + 1)
    end = archive.index(b"PK\x01\x02")
    cut = archive[:begin] + archive[end:]
    place = struct.unpack_from("<I", cut, len(cut) - 6)[0] - (end - begin)
    path.write_bytes(cut[:-6] + struct.pack("<I", place) + cut[-2:])
    with pytest.raises(CheckpointError, match="overlap"):
        read_checkpoint(path)

"""A reader of pickles that makes plain containers and nothing else.

A pickle is a program for a small stack machine, and Python's own machine runs whatever function the program
names. This one knows the opcodes that build numbers, texts, lists, tuples, sets and dicts; a name is only
ever looked up in a table that the caller gives, and "calling" it means calling what that table says. It holds
little more than the file does: lengths are checked by what can be read, the memo is a dict, the number of
instructions is bounded, and what calls may copy grows no faster than what was read.

Source of the opcodes' meanings: Python's pickletools, which also splits the program into opcodes.
"""

import itertools
import pickletools
from collections.abc import Callable, Mapping, Sized
from typing import Any, Protocol, TypeVar

from flask_detector.errors import CheckpointError, UnsafeCheckpoint

Builder = Callable[..., Any]
_T = TypeVar("_T")

# A checkpoint of Mask R-CNN with its optimizer has about 50 000 instructions; two million take some seconds
# and make at most some 150 MB of empty containers.
_MOST_INSTRUCTIONS = 2_000_000

# Calls can copy an argument again and again that is in the file once. In honest files each is used once, so
# all of them together are shorter than what was read; the factor leaves room for short ones that are shared.
_COPIES_PER_BYTE = 8


class Stream(Protocol):
    """A file or the like; it stands behind the pickle afterwards."""

    def read(self, size: int, /) -> bytes: ...  # noqa: D102  # as of any file
    def readline(self) -> bytes: ...  # noqa: D102  # as of any file
    def tell(self) -> int: ...  # noqa: D102  # as of any file


class UnknownName(UnsafeCheckpoint, code="unsafe_checkpoint"):
    """The pickle names something that is not on the caller's list."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The file names '{name}', which is not part of a checkpoint's tensors.")
        self.name = name


class Inert:
    """Stands for an object of a harmless class whose contents nobody needs; it has no contents."""

    def __init__(self, name: str) -> None:
        self.name = name


class Stateful(Inert):
    """Stands for an object whose state is wanted; the pickle sets it after making the object."""

    def set_state(self, state: Any) -> None:
        """Take the state as the pickle has it."""
        raise NotImplementedError


class Attributes(dict[str, Any]):
    """Stands for an object that only has attributes, such as parsed arguments: these are its items."""

    def set_state(self, state: Any) -> None:
        """Take the attributes; those that are no names are left out."""
        if isinstance(state, dict):
            self.update((key, value) for key, value in state.items() if isinstance(key, str))


class Global:
    """A name in the pickle, and what it stands for."""

    def __init__(self, name: str, build: Builder) -> None:
        self.name, self.build = name, build


def load(
    stream: Stream, *, builders: Mapping[str, Builder], persistent: Callable[[Any], Any] | None = None
) -> Any:
    """Return what the pickle at the stream's place holds.

    builders: by qualified name, what is called where the pickle calls that name; looked up, not iterated, so
        that it may make entries as they are asked for.
    persistent: makes objects of the ids by which the pickle refers to what is kept outside of it.

    Raises UnknownName where the pickle names anything else, and CheckpointError where it is malformed or
    ends early.
    """
    machine = _Machine(builders, persistent)
    try:
        start = stream.tell()
        instructions = pickletools.genops(stream)  # type: ignore[arg-type]  # it needs no more of a file
        for opcode, argument, _ in itertools.islice(instructions, _MOST_INSTRUCTIONS):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
            if machine.copied > _COPIES_PER_BYTE * (stream.tell() - start):
                raise CheckpointError("The file asks for far more memory than it is long.")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError) as error:
        raise CheckpointError("The file is damaged: its table of contents can't be read.") from error
    raise CheckpointError("The file is damaged: its table of contents has no end, or is far too long.")


def hashable(value: Any) -> Any:
    """Return what is to be a dict's key or a set's item, or raise TypeError.

    Deeply nested ones are refused: to hash them exhausts the interpreter's stack, and the process dies.
    """
    parts = value if isinstance(value, tuple) else (value,)
    if not all(part is None or isinstance(part, str | bytes | int | float | Inert) for part in parts):
        raise TypeError("a key must be a number or a text")
    return value


_LITERALS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "SHORT_BINBYTES",
        "BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FROM_MARK: dict[str, Callable[[list[Any]], Any]] = {
    "LIST": list,
    "TUPLE": tuple,
    "FROZENSET": lambda items: frozenset(map(hashable, items)),
    "DICT": lambda items: {hashable(k): v for k, v in zip(items[::2], items[1::2], strict=True)},
}
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_IGNORED = frozenset({"PROTO", "FRAME"})


class _Machine:
    def __init__(self, builders: Mapping[str, Builder], persistent: Callable[[Any], Any] | None) -> None:
        self.stack: list[Any] = []
        self.copied = 0
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._builders = builders
        self._persistent = persistent

    def step(self, opcode: str, argument: Any) -> None:
        """Do one opcode."""
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _PUT:
            self._memo[argument] = self.stack[-1]
        elif opcode in _GET:
            self.stack.append(self._memo[argument])
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _EMPTY:
            self.stack.append(_EMPTY[opcode]())
        elif opcode in _TUPLES:
            count = _TUPLES[opcode]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif opcode in _FROM_MARK:
            self.stack.append(_FROM_MARK[opcode](self._above_mark()))
        elif opcode not in _IGNORED:
            operation = getattr(self, f"_do_{opcode.lower()}", None)
            if operation is None:
                raise CheckpointError(f"The file has an instruction that no checkpoint needs ({opcode}).")
            operation(argument)

    def _above_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def _do_mark(self, _: None) -> None:
        self._marks.append(len(self.stack))

    def _do_pop(self, _: None) -> None:
        self.stack.pop()

    def _do_pop_mark(self, _: None) -> None:
        self._above_mark()

    def _do_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def _do_memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def _do_append(self, _: None) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _do_appends(self, _: None) -> None:
        self._extend(self._above_mark())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Inert):
            _expect(self.stack[-1], list).extend(items)

    def _do_additems(self, _: None) -> None:
        items = self._above_mark()
        _expect(self.stack[-1], set).update(map(hashable, items))

    def _do_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _do_setitems(self, _: None) -> None:
        self._set(self._above_mark())

    def _set(self, items: list[Any]) -> None:
        # Dicts and lists of classes that nobody needs are filled like any other.
        if not isinstance(self.stack[-1], Inert):
            _expect(self.stack[-1], dict).update(_FROM_MARK["DICT"](items))

    def _do_global(self, argument: str) -> None:
        self._push_global(argument.replace(" ", "."))

    def _do_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._push_global(f"{_expect(module, str)}.{_expect(name, str)}")

    def _push_global(self, name: str) -> None:
        try:
            build = self._builders[name]
        except KeyError:
            raise UnknownName(name) from None
        self.stack.append(Global(name, build))

    def _do_reduce(self, _: None) -> None:
        arguments = _expect(self.stack.pop(), tuple)
        self._count_copied(arguments)
        self.stack.append(_expect(self.stack.pop(), Global).build(*arguments))

    _do_newobj = _do_reduce

    def _do_newobj_ex(self, _: None) -> None:
        self.stack.pop()
        self._do_reduce(None)

    def _do_build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        self._count_copied(state)
        if isinstance(target, Stateful | Attributes):
            target.set_state(state)
        # Nobody needs the attributes of a state dict, nor of what stands for something harmless.
        elif not isinstance(target, dict | Inert):
            raise CheckpointError("The file sets attributes of something that has none.")

    def _count_copied(self, value: Any) -> None:
        if isinstance(value, Sized):
            self.copied += len(value)
        if isinstance(value, tuple):
            self.copied += sum(len(part) for part in value if isinstance(part, Sized))

    def _do_binpersid(self, _: None) -> None:
        if self._persistent is None:
            raise CheckpointError("The file refers to data that it does not have.")
        self.stack.append(self._persistent(self.stack.pop()))


def _expect(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value

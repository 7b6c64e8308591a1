"""What checkpoints of all networks share: the network among the tensors, and the report of what misfits."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from flask_detector.detectors.checkpoint.read import AVERAGED, Checkpoint
from flask_detector.detectors.checkpoint.tensors import Tensor
from flask_detector.errors import ForeignCheckpoint

_LISTED = 10


@dataclass(frozen=True)
class Network:
    """The tensors of one network, under its own names.

    notes: what was chosen, for people.
    """

    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...]


def network_in(checkpoint: Checkpoint, marks: Collection[str]) -> Network:
    """Return the network among a checkpoint's tensors: those whose names begin as its marks do.

    Training puts "module.", "model.", "student." and the like before all names, and has tensors of its own
    beside them. Where several networks are there, the averaged one is taken.

    marks: some names of tensors of the networks that are looked for.
    """
    tensors = checkpoint.tensors
    prefixes = Counter(
        name.removesuffix(mark)
        for name in tensors
        for mark in marks
        if name == mark or name.endswith(f".{mark}")
    )
    if not prefixes:
        for path, other in checkpoint.others.items():
            note = f"The file holds several sets of weights; {path or 'the outermost'} is taken."
            network = network_in(Checkpoint(other, checkpoint.meta, (note,)), marks)
            if any(mark in network.tensors for mark in marks):
                return network
        return Network(tensors, checkpoint.notes)
    complete = [prefix for prefix, count in prefixes.items() if count == max(prefixes.values())]
    averaged = [prefix for prefix in complete if _is_averaged(prefix, tensors)]
    prefix = (averaged or complete)[0]
    notes = checkpoint.notes
    if len(complete) > 1:
        which = "the averaged one" if averaged else "the first one"
        names = ", ".join(f"{one}*" for one in complete)
        notes += (f"The file holds several networks ({names}); {which}, {prefix}*, is taken.",)
    # MMDetection 2 saves averaged weights, and beside them others: "ema_backbone_conv1_weight" and so on.
    copies = {f"{prefix}ema_{name.removeprefix(prefix).replace('.', '_')}" for name in tensors}
    return Network(
        {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix) and name not in copies
        },
        notes,
    )


def _is_averaged(prefix: str, tensors: Mapping[str, Tensor]) -> bool:
    # PyTorch's AveragedModel counts its steps beside the model that it wraps.
    counted = f"{prefix.removesuffix('module.')}n_averaged"
    return AVERAGED.search(prefix) is not None or (prefix.endswith("module.") and counted in tensors)


def check_shapes(
    tensors: Mapping[str, Tensor],
    layers: Iterable[Mapping[str, tuple[int, ...]]],
    ignored: Collection[str] = (),
    *,
    network: str,
) -> None:
    """Raise ForeignCheckpoint with the list of what does not fit.

    layers: the names and shapes of what the network must have. ignored: what may be there besides, as the
    counters of batch norms.
    """
    shapes = {name: shape for layer in layers for name, shape in layer.items()}
    lacking = [name for name in shapes if name not in tensors]
    surplus = [
        name
        for name in tensors
        if name not in shapes and name not in ignored and not name.endswith(".num_batches_tracked")
    ]
    wrong = [
        f"{name} {tensors[name].shape} instead of {shape}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        f"{what} {listed(names)}"
        for what, names in (("it lacks", lacking), ("it has besides", surplus), ("wrong shapes:", wrong))
        if names
    ]
    if problems:
        raise ForeignCheckpoint(f"The checkpoint does not fit {network}: {'; '.join(problems)}.")


def listed(names: Sequence[str]) -> str:
    """Return the first ten names, and how many more there are."""
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")

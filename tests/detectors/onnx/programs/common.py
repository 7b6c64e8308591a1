"""Networks with random weights that answer as trained ones do: not alike, and with few certain objects."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

Run = Callable[[], Any]


def arguments() -> tuple[Path, list[Image.Image], dict[str, Any]]:
    """Return a script's arguments: a folder, pictures, and what to export."""
    pictures = [Image.open(path).convert("RGB") for path in json.loads(sys.argv[2])]
    return Path(sys.argv[1]), pictures, json.loads(sys.argv[3])


def write_found(folder: Path, found: Iterable[dict[str, Any]]) -> None:
    """Write what a program finds in each picture: `boxes`, `scores`, `classes`, and perhaps `masks`."""
    forms = []
    for number, one in enumerate(found):
        lists = {name: np.asarray(one[name]).tolist() for name in ("boxes", "scores", "classes")}
        forms.append(lists)
        if one.get("masks") is not None:
            np.savez_compressed(folder / f"masks-{number}.npz", masks=np.asarray(one["masks"], bool))
    (folder / "found.json").write_text(json.dumps(forms))


def vary(network: Any) -> None:
    """Give linear layers weights that keep differences: a fresh transformer makes all queries alike."""
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_normal_(module.weight)


def know_pictures(network: Any, run: Run) -> None:
    """Have each batch norm, frozen or not, know what it sees, and answer with mostly positive numbers.

    So the activations behind it hardly bend them. Else each layer would multiply the last digit, in which
    engines differ, until objects differ as well.
    """
    hooks = []

    def look(norm: Any, inputs: tuple[Any, ...]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3)) + 1e-5)

    for module in network.modules():
        if hasattr(module, "running_var") and module.running_var is not None:
            module.bias.data.fill_(2)
            hooks.append(module.register_forward_pre_hook(look))
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()


def rescale(layer: Any, run: Run, mean: Any, std: float) -> None:
    """Change a layer so that each of its outputs has that mean, a number or (outputs,), and deviation."""
    seen: list[Any] = []

    def look(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append(output.movedim(1 if output.dim() == 4 else -1, -1).flatten(0, -2))

    hook = layer.register_forward_hook(look)
    with torch.no_grad():
        run()
        hook.remove()
        if not seen:
            return
        found = torch.cat(seen)
        factor = std / (found.std(0) + 1e-6)
        layer.weight.mul_(factor.view((-1,) + (1,) * (layer.weight.dim() - 1)))
        layer.bias.copy_((layer.bias - found.mean(0)) * factor + mean)


def rows_of_anchors(anchors: int, classes: int, coefficients: int = 0) -> tuple[Any, float]:
    """Return mean and deviation of YOLOv5's and v7's logits: few objects, boxes smaller than anchors."""
    one = [0.0, 0.0, -1.0, -1.0, -5.0, *[-1.0] * classes, *[0.0] * coefficients]
    return torch.tensor(one * anchors), 1.5


def small_distances(bins: int) -> Any:
    """Return logits (4 * bins,) of the distances to a box's sides that are about one cell each.

    Of neighbours with nearly the same score the last digit would decide which suppresses the other; such
    boxes leave each other alone.
    """
    return -0.7 * torch.arange(bins).repeat(4)


def export(
    network: Any, example: Any, folder: Path, inputs: list[str], outputs: list[str], **options: Any
) -> None:
    """Export by PyTorch's own exporter, the one that traces."""
    torch.onnx.export(
        network,
        example,
        str(folder / "model.onnx"),
        input_names=inputs,
        output_names=outputs,
        **{"opset_version": 17, "dynamo": False, **options},
    )

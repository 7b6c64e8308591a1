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
    """Have each batch norm, frozen or not, know what it sees."""
    hooks = []

    def look(norm: Any, inputs: tuple[Any, ...]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3)) + 1e-5)

    for module in network.modules():
        if hasattr(module, "running_var") and module.running_var is not None:
            hooks.append(module.register_forward_pre_hook(look))
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()


def rescale(layer: Any, run: Run, mean: float, std: float) -> None:
    """Change a layer so that each of its outputs has that mean and standard deviation."""
    seen: list[Any] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        run()
        hook.remove()
        if not seen:
            return
        dims = [0, 2, 3] if seen[-1].dim() == 4 else list(range(seen[-1].dim() - 1))
        factor = std / (seen[-1].std(dims) + 1e-6)
        layer.weight.mul_(factor.view((-1,) + (1,) * (layer.weight.dim() - 1)))
        layer.bias.copy_((layer.bias - seen[-1].mean(dims)) * factor + mean)


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

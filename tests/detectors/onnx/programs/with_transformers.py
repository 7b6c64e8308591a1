"""Hugging Face's detectors, exported with the names of optimum's exporter; see `common.py`."""

from typing import Any

import torch
import transformers as hf

from tests.detectors.onnx.programs.common import arguments, export, know_pictures, rescale, vary, write_found

SIDE = 320

# Those of open sizes and COCO's numbers, by what their classes' names begin with.
DETRS = {"detr": "Detr", "conditional_detr": "ConditionalDetr"}


def network_of(name: str) -> tuple[Any, Any]:
    """Return a small network and what prepares pictures for it."""
    resnet: dict[str, Any] = {"depths": [2, 2, 2, 2], "hidden_sizes": [32, 64, 96, 128], "embedding_size": 32}
    labels = {"num_labels": 91 if name in DETRS else 80}
    layers = {"encoder_layers": 2, "decoder_layers": 2, "d_model": 64}
    square = {"size": {"height": SIDE, "width": SIDE}}
    if name in DETRS:
        heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
        backbone = hf.ResNetConfig(**resnet, out_features=["stage4"], layer_type="basic")
        config = getattr(hf, f"{DETRS[name]}Config")(
            use_timm_backbone=False,
            backbone=None,
            backbone_config=backbone,
            **layers,
            **heads,
            **labels,
        )
        processor = getattr(hf, f"{DETRS[name]}ImageProcessorPil")
        return getattr(hf, f"{DETRS[name]}ForObjectDetection")(config), processor(
            size={"shortest_edge": SIDE, "longest_edge": 533}
        )
    backbone = hf.RTDetrResNetConfig(
        **resnet,
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
        downsample_in_bottleneck=False,
    )
    channels = {"encoder_in_channels": resnet["hidden_sizes"][1:]}
    if name == "d_fine":
        config = hf.DFineConfig(backbone_config=backbone, **channels, **labels)
        return hf.DFineForObjectDetection(config), hf.RTDetrImageProcessorPil(**square)
    if name == "rt_detr_v2":
        config = hf.RTDetrV2Config(backbone_config=backbone, **channels, **labels)
        return hf.RTDetrV2ForObjectDetection(config), hf.RTDetrImageProcessorPil(**square)
    config = hf.RTDetrConfig(backbone_config=backbone, **channels, **labels)
    return hf.RTDetrForObjectDetection(config), hf.RTDetrImageProcessorPil(**square)


class Exported(torch.nn.Module):
    """What optimum exports: pixels to logits and boxes."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Any) -> Any:
        """Return logits and boxes."""
        found = self.model(pixel_values=pixel_values)
        return found.logits, found.pred_boxes


def main() -> None:
    """Export and detect."""
    folder, pictures, asked = arguments()
    torch.manual_seed(7)
    model, processor = network_of(asked["network"])
    is_conditional = asked["network"] == "conditional_detr"
    vary(model)
    if asked["network"] in DETRS:
        # Fresh ones are alike to four digits, and so is what is found by them.
        model.model.query_position_embeddings.weight.data.mul_(50)
    if is_conditional:
        for name, module in model.model.decoder.named_modules():
            if ".q_" in name or ".k_" in name:
                module.weight.data.mul_(5)
    model.eval()
    batches = [processor(images=picture, return_tensors="pt")["pixel_values"] for picture in pictures]

    def run() -> None:
        for batch in batches if is_conditional else batches[:1]:
            model(pixel_values=batch)

    know_pictures(model, run)
    is_softmax = asked["network"] == "detr"
    heads = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ("class_labels" in name or "class_embed" in name)
    ]
    for head in heads:
        rescale(head, run, *((0, 3) if is_softmax else (-6.5 if is_conditional else -7, 2)))
    boxes = [
        m.layers[-1]
        for name, m in model.named_modules()
        if name.endswith("bbox_embed") and hasattr(m, "layers")
    ]
    for head in boxes:
        rescale(head, run, 0, 1)
    options = (
        {"dynamic_axes": {"pixel_values": {0: "batch", 2: "height", 3: "width"}}} if asked.get("open") else {}
    )
    with torch.no_grad():
        export(
            Exported(model).eval(),
            (batches[0],),
            folder,
            ["pixel_values"],
            ["logits", "pred_boxes"],
            **options,
        )
        found = []
        for picture, batch in zip(pictures, batches, strict=True):
            sizes = torch.tensor([[picture.height, picture.width]])
            (result,) = processor.post_process_object_detection(
                model(pixel_values=batch), threshold=0.25, target_sizes=sizes
            )
            limits = torch.tensor([picture.width, picture.height] * 2)
            boxes = torch.minimum(result["boxes"].clamp(min=0), limits)
            found.append({"boxes": boxes, "scores": result["scores"], "classes": result["labels"]})
    write_found(folder, found)


main()

"""label-studio-sdk's judgement of predictions, and its own reading of brushes, from a file of JSON."""

import json
import sys
from pathlib import Path

from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface import LabelInterface

judged = []
for form in json.loads(Path(sys.argv[1]).read_text()):
    errors = LabelInterface(form["label_config"]).validate_prediction(form["prediction"], return_errors=True)
    values = [one["value"] for one in form["prediction"]["result"]]
    inside = [int(decode_rle(value["rle"])[3::4].sum() // 255) for value in values if "rle" in value]
    judged.append({"errors": errors, "regions": len(values), "inside": inside})
print(json.dumps(judged))

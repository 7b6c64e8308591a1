"""Print what Label Studio has against predictions: python read_with_label_studio.py CONFIG TASKS."""

import json
import sys
from pathlib import Path

from label_studio_sdk.label_interface import LabelInterface

interface = LabelInterface(Path(sys.argv[1]).read_text())
interface.validate()
tasks = json.loads(Path(sys.argv[2]).read_text())
complaints = [
    interface.validate_prediction(prediction, return_errors=True)
    for task in tasks
    for prediction in task["predictions"]
]
json.dump(complaints, sys.stdout)

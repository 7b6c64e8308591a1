"""huggingface_hub, which sends bytes alone where there are no parameters, and JSON where there are."""

import json
import sys
from pathlib import Path

from huggingface_hub import InferenceClient

found = []
for path in ("/models/nanodet-g", "/pipeline/object-detection", "/pipeline/object-detection/nanodet-g"):
    client = InferenceClient(model=sys.argv[1] + path, token="hf_made_up", timeout=60)
    everything = client.object_detection(sys.argv[2])
    found.append([{**one, "box": dict(one["box"])} for one in everything])
    fewer = client.object_detection(Path(sys.argv[2]).read_bytes(), threshold=0.7)
    assert 0 < len(fewer) < len(everything)
print(json.dumps(found))

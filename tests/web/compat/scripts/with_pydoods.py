"""pydoods, which asks for the detectors when it is made."""

import json
import sys
from pathlib import Path

from pydoods import PyDOODS

client, picture = PyDOODS(sys.argv[1], "made up", timeout=60), Path(sys.argv[2]).read_bytes()
names = [detector["name"] for detector in client.get_detectors()["detectors"]]
found = [client.detect(picture, {"*": 40}, name, id="7") for name in names]
print(json.dumps([answer["detections"] for answer in found if answer["id"] == "7"]))

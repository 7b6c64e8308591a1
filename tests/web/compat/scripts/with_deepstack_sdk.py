"""deepstack-sdk, which leaves an empty API key out; it draws the result into a file."""

import json
import sys
import tempfile
from pathlib import Path

from deepstack_sdk import Detection, ServerConfig

server = ServerConfig(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    drawn = Path(folder) / "drawn.jpg"
    answers = [
        Detection(server).detectObject(sys.argv[2], output=str(drawn)),
        Detection(server, name="nanodet-g").detectObject(Path(sys.argv[2]).read_bytes()),
    ]
    is_drawn = drawn.stat().st_size > 0
names = ("label", "confidence", "x_min", "y_min", "x_max", "y_max")
found = [[{name: getattr(one, name) for name in names} for one in answer] for answer in answers]
print(json.dumps(found if is_drawn else []))

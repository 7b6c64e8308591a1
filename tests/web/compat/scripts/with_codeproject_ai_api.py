"""codeproject-ai-api."""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from codeprojectai.core import CodeProjectAIObject

address, picture = urlsplit(sys.argv[1]), Path(sys.argv[2]).read_bytes()
found = [
    CodeProjectAIObject(address.hostname, address.port, min_confidence=0.4, **more).detect(picture)
    for more in ({}, {"custom_model": "nanodet-g"}, {"custom_model": "ipcam-general"})
]
print(json.dumps(found))

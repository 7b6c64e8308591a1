"""deepstack-python, which sends an API key with each request, even an empty one."""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from deepstack.core import DeepstackObject

address, picture = urlsplit(sys.argv[1]), Path(sys.argv[2]).read_bytes()
found = [
    DeepstackObject(address.hostname, address.port, min_confidence=0.4, **more).detect(picture)
    for more in ({}, {"api_key": "made up"}, {"custom_model": "nanodet-g"})
]
print(json.dumps(found))

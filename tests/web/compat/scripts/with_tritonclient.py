"""tritonclient: binary data both ways, compressed and not, with and without a list of outputs."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(urlsplit(sys.argv[1]).netloc, network_timeout=60, connection_timeout=60)
assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready("nanodet-g", "1")
assert not client.is_model_ready("no-such-model")
assert client.get_server_metadata()["name"] == "flask-detector"
assert client.get_model_repository_index()[0]["name"] == "nanodet-g"
assert client.get_model_config("nanodet-g")["input"][0]["name"] == "image"
(described,) = client.get_model_metadata("nanodet-g")["inputs"]

tensor = triton.InferInput(described["name"], described["shape"], described["datatype"])
tensor.set_data_from_numpy(np.array([Path(sys.argv[2]).read_bytes()], dtype=object))
names = ["boxes", "scores", "labels", "class_ids"]
requests: list[dict[str, Any]] = [
    {},
    {"outputs": [triton.InferRequestedOutput(name, binary_data=False) for name in names]},
    {
        "outputs": [triton.InferRequestedOutput(name) for name in names],
        "request_compression_algorithm": "gzip",
    },
    {
        "model_version": "1",
        "request_compression_algorithm": "deflate",
        "response_compression_algorithm": "gzip",
    },
]
found = []
for request in requests:
    result = client.infer("nanodet-g", [tensor], request_id="7", parameters={"min_score": 0.4}, **request)
    assert result.get_response()["id"] == "7"
    labels = [one if isinstance(one, str) else one.decode() for one in result.as_numpy("labels").tolist()]
    boxes, scores = result.as_numpy("boxes"), result.as_numpy("scores")
    assert boxes.shape == (len(labels), 4)
    found.append(
        [
            [label, score, *box]
            for label, score, box in zip(labels, scores.tolist(), boxes.tolist(), strict=True)
        ]
    )
nothing = client.infer("nanodet-g", [tensor], parameters={"min_score": 1.0})
assert nothing.as_numpy("boxes").shape == (0, 4)
print(json.dumps(found))

"""inference-sdk: the newer and the older interface, one picture and several, under several names."""

import json
import sys

from inference_sdk import InferenceConfiguration, InferenceHTTPClient
from inference_sdk.http.errors import HTTPCallErrorError

client = InferenceHTTPClient(sys.argv[1], api_key="made up")
assert client.get_server_info().name == "flask-detector"
assert client.list_loaded_models().models
picture, found = sys.argv[2], []
for name in ("nanodet-g", "nanodet-g/1", "coco/3", "yolov8n-640"):
    found.append(client.infer(picture, model_id=name)["predictions"])
several = InferenceConfiguration(max_batch_size=3, confidence_threshold=0.4, visualize_predictions=True)
with client.use_configuration(several):
    answers = client.infer([picture] * 3, model_id="nanodet-g")
    assert all(answer["visualization"] for answer in answers)
    found += [answer["predictions"] for answer in answers]
with client.use_api_v0():
    found.append(client.infer(picture, model_id="nanodet-g/1")["predictions"])
    with client.use_configuration(InferenceConfiguration(confidence_threshold=0.7)):
        assert 0 < len(client.infer(picture, model_id="nanodet-g/1")["predictions"]) < len(found[0])
    refusal = None
    try:
        client.infer(picture, model_id="no-such-project/1")
    except HTTPCallErrorError as error:
        refusal = error
assert refusal is not None
assert (refusal.status_code, "no-such-project" in str(refusal.api_message)) == (404, True)
print(json.dumps(found))

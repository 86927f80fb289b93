"""The executor of clip-as-service with the weights of this benchmark; jina imports it under the peer's own Python.

Only where the weights come from is changed: a file named by WEIGHTS instead of a download.
"""

import os
from importlib import import_module
from typing import Any


def name_weights(_url: str, **_: object) -> str:
    return os.environ["WEIGHTS"]


models: Any = import_module("clip_server.model.openclip_model")
models.download_model = name_weights
CLIPEncoder: Any = import_module("clip_server.executors.clip_torch").CLIPEncoder

"""Ways of reading a request and writing an answer, each on the bytes of a real one."""

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import orjson
import pybase64

from benchmarks.load import make_image_bodies
from benchmarks.photographs import make_photograph

BODY = make_image_bodies([make_photograph(0)])[0]
ENCODED: str = json.loads(BODY)["images"][0]
ROW = np.random.default_rng(0).standard_normal(512).astype(np.float32)
LEAST_SECONDS = 0.05  # of one value: long against the clock's grain and the scheduler's


class Body(msgspec.Struct):
    texts: list[str] = []
    images: list[str] = []


typed: "msgspec.json.Decoder[Body]" = msgspec.json.Decoder(Body)
numpy_encoder = orjson.OPT_SERIALIZE_NUMPY


def answer_by_json() -> bytes:
    return json.dumps({"textVectors": [], "imageVectors": [ROW.tolist()]}).encode()


def answer_by_msgspec() -> bytes:
    return msgspec.json.encode({"textVectors": [], "imageVectors": [ROW.tolist()]})


def answer_by_orjson() -> bytes:
    return orjson.dumps({"textVectors": [], "imageVectors": [ROW]}, option=numpy_encoder)


CANDIDATES: Mapping[str, Mapping[str, Callable[[], Any]]] = {  # the standard library's way first
    "read the body's JSON": {
        "json": lambda: json.loads(BODY),
        "orjson": lambda: orjson.loads(BODY),
        "msgspec": lambda: msgspec.json.decode(BODY),
        "msgspec, typed": lambda: typed.decode(BODY),
    },
    "decode base64": {
        "binascii": lambda: binascii.a2b_base64(ENCODED, strict_mode=True),
        "base64": lambda: base64.b64decode(ENCODED, validate=True),
        "pybase64": lambda: pybase64.b64decode(ENCODED, validate=True),
    },
    "write the answer's JSON": {
        "json": answer_by_json,
        "msgspec": answer_by_msgspec,
        "orjson, numpy": answer_by_orjson,
    },
}


def measure_milliseconds(call: Callable[[], object]) -> float:
    """Of one call, the mean over LEAST_SECONDS."""
    call()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < LEAST_SECONDS:
        call()
        count += 1
    return elapsed * 1000 / count

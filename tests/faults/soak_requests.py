"""The requests of the soak, good and bad, each with the answer that it must get."""

import base64
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clip_vectorizer.vectors import Vectors
from tests.faults.pictures import BOMBS, cut, noise
from tests.faults.requests import base64_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
BODY_LIMIT = 1_000_000  # bytes; the sidecar is started with it
CLOSE_ENOUGH = 2e-5  # of two passes over equal inputs in batches of other sizes
BOUNDARY = "soak"
JSON = "application/json"


@dataclass(frozen=True)
class Request:
    kind: str
    body: bytes
    status: int  # 0: the client hangs up before an answer
    names: Sequence[str] = ()  # whose vectors come back, in order
    path: str = "/vectorize"
    method: str = "POST"
    content_type: str = JSON
    expected_text: str = ""  # part of the error


@dataclass
class Material:
    """The inputs of good requests, and the vector of each, computed alone before the soak starts."""

    texts: list[str]
    images: dict[str, bytes]
    vectors: dict[str, Vectors] = field(default_factory=dict)  # name -> (D,)


def material(choice: random.Random) -> Material:
    words = ["red", "blue", "small", "old", "round", "苹果", "树", "cat", "boat", "moon", "house", "star"]
    texts = sorted({" ".join(choice.choices(words, k=choice.randint(1, 6))) for _ in range(400)})
    images = {str(path): path.read_bytes() for path in sorted(EXAMPLES.rglob("*.png"))}
    images |= {f"noise {n}": noise(200 + n, 150 + n) for n in range(40)}
    return Material(texts, images)


def good(choice: random.Random, stuff: Material) -> Request:
    return choice.choice([vectorize, vectorize, vectorize, openai, multipart])(choice, stuff)


def vectorize(choice: random.Random, stuff: Material) -> Request:
    texts = choice.choices(stuff.texts, k=choice.choice([0, 1, 1, 3]))
    names = choice.choices(list(stuff.images), k=choice.choice([1, 1, 2, 4]))
    return Request("vectorize", body_of(texts, [stuff.images[name] for name in names]), 200, [*texts, *names])


def openai(choice: random.Random, stuff: Material) -> Request:
    texts = choice.choices(stuff.texts, k=choice.randint(1, 4))
    body = {"model": "emoji", "input": texts, "encoding_format": choice.choice(["float", "base64"])}
    return Request("openai", json.dumps(body).encode(), 200, texts, "/v1/embeddings")


def multipart(choice: random.Random, stuff: Material) -> Request:
    names = choice.choices(list(stuff.images), k=choice.randint(1, 4))
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'.encode()
    body = b"".join(head + stuff.images[name] + b"\r\n" for name in names) + f"--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return Request("multipart", body, 200, names, "/vectorize/images", content_type=kind)


def body_of(texts: Sequence[str], images: Sequence[bytes]) -> bytes:
    return json.dumps({"texts": list(texts), "images": [base64_of(image) for image in images]}).encode()


def bad(choice: random.Random, stuff: Material) -> Request:
    return choice.choice(BAD)(choice, stuff)


def refused(kind: str, status: int, body: bytes, expected_text: str = "", **more: Any) -> Callable[..., Request]:
    return lambda _choice, _stuff: Request(kind, body, status, expected_text=expected_text, **more)


def broken(choice: random.Random, stuff: Material) -> Request:
    """Good texts and pictures, and one that is cut somewhere."""
    images = [stuff.images[name] for name in choice.choices(list(stuff.images), k=2)]
    return Request(
        "broken JPEG",
        body_of(["a"], [*images, cut(noise(choice.randint(90, 300), 90))]),
        422,
        expected_text="images[2]",
    )


def aborted(choice: random.Random, stuff: Material) -> Request:
    whole = vectorize(choice, stuff)
    return Request("aborted", whole.body, 0)


BAD: list[Callable[[random.Random, Material], Request]] = [
    broken,
    aborted,
    refused("broken base64", 422, b'{"images": ["###"]}', "images[0]"),
    refused("bomb", 413, body_of([], [BOMBS["PNG"]()]), "images[0]"),
    refused("packed bomb", 413, body_of([], [BOMBS["packed PNG"]()]), "images[0]"),
    refused("wrong JSON", 400, b'{"texts": ["a"'),
    refused("empty", 400, b""),
    refused("wrong type", 400, b'{"texts": ["a", 7]}'),
    refused("too large", 413, b'{"texts": ["' + b"x" * 2 * BODY_LIMIT + b'"]}'),
    refused("NaN text", 400, b'{"texts": [NaN]}'),
    refused("too many items", 413, body_of(["a"] * 3000, [])),
    refused("no such path", 404, b"{}", path="/v2/vectorize"),
    refused("wrong method", 405, b"{}", method="PUT"),
    refused("half a surrogate", 400, rb'{"texts": ["fine", "\ud83d"]}', "surrogate"),
    refused("wrong form", 400, b"nonsense", path="/vectorize/images", content_type="multipart/form-data; boundary=b"),
]


def rows_of(request: Request, content: bytes) -> Vectors:
    """(N, D) float32 of an answer to a good request, in the order of its names."""
    if request.kind == "multipart":
        rows: Vectors = np.load(io.BytesIO(content))
        return rows
    fields = json.loads(content)
    if request.kind == "openai":
        return np.stack([row_of(entry["embedding"]) for entry in fields["data"]])
    return np.array(fields["textVectors"] + fields["imageVectors"], dtype=np.float32)


def row_of(embedding: str | list[float]) -> Vectors:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), dtype="<f4")
    return np.array(embedding, dtype=np.float32)

"""A loop over images or texts as the author of a program writes it, run under the Python of the library that it uses.

PYTHON loop.py transformers|fastembed WEIGHTS_FOLDER
PYTHON loop.py open_clip WEIGHTS_FOLDER ARCHITECTURE
PYTHON loop.py clip_client WEIGHTS_FOLDER SERVER

One line of JSON in: {"kind": "image", "items": [paths], "batch": 8, "seconds": 3}. One out: how many items were
embedded and in how many seconds; with `"vectors": true` the vectors of all items instead. Only Python's own library,
numpy and what the peer needs are imported.

N items · D dimensions
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

Embed = Callable[[str, Iterable[str], int], Any]  # "image" or "text", paths or texts, the batch: (N, D) in order
EmbedBatch = Callable[[str, Sequence[str]], Any]
CONNECT_SECONDS, POLL_SECONDS = 300.0, 1.0
CALL_BATCHES = 4


def main() -> None:
    library, folder, *options = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print
    embed = LIBRARIES[library](Path(folder), *options)
    for line in sys.stdin:
        answers.write(json.dumps(answer(embed, json.loads(line))) + "\n")
        answers.flush()


def answer(embed: Embed, order: dict[str, Any]) -> dict[str, Any]:
    kind, items, batch = order["kind"], order["items"], order["batch"]
    if order.get("vectors"):
        return {"vectors": embed(kind, items, batch).tolist()}
    embed(kind, items[:batch], batch)  # warm for this shape
    start = time.perf_counter()
    rows_nd = embed(kind, end_after(items[batch:], order["seconds"]), batch)
    return {"items": len(rows_nd), "seconds": time.perf_counter() - start}


def end_after(items: Iterable[str], seconds: float) -> Iterator[str]:
    end = time.perf_counter() + seconds
    for number, item in enumerate(items):
        if number and time.perf_counter() > end:
            return
        yield item


def repeat_batches(embed: EmbedBatch) -> Embed:
    def embed_all(kind: str, items: Iterable[str], batch: int) -> Any:
        left, parts = iter(items), []
        while part := list(islice(left, batch)):
            parts.append(embed(kind, part))
        return import_module("numpy").concatenate(parts)

    return embed_all


def load_transformers(folder: Path) -> Embed:
    """CLIPModel with its defaults (scaled dot-product attention), padded to the longest text of a batch."""
    torch, transformers, images = import_module("torch"), import_module("transformers"), import_module("PIL.Image")
    model = transformers.CLIPModel.from_pretrained(folder / "transformers").eval()
    processor = transformers.CLIPProcessor.from_pretrained(folder / "transformers")

    def embed(kind: str, items: Sequence[str]) -> Any:
        with torch.inference_mode():
            if kind == "image":
                inputs = processor(images=[images.open(item) for item in items], return_tensors="pt")
                rows_nd = model.get_image_features(**inputs)
            else:
                rows_nd = model.get_text_features(**processor(text=list(items), return_tensors="pt", padding=True))
            rows_nd = getattr(rows_nd, "pooler_output", rows_nd)  # since transformers 5
            return (rows_nd / rows_nd.norm(dim=-1, keepdim=True)).numpy()

    return repeat_batches(embed)


def load_open_clip(folder: Path, architecture: str) -> Embed:
    torch, open_clip, images = import_module("torch"), import_module("open_clip"), import_module("PIL.Image")
    weights = str(folder / "open_clip.pt")
    model, _, prepare = open_clip.create_model_and_transforms(architecture, pretrained=weights)
    tokenize = open_clip.get_tokenizer(architecture)
    model.eval()

    def embed(kind: str, items: Sequence[str]) -> Any:
        with torch.inference_mode():
            if kind == "image":
                pixels_n3ss = torch.stack([prepare(images.open(item)) for item in items])
                return model.encode_image(pixels_n3ss, normalize=True).numpy()
            return model.encode_text(tokenize(list(items)), normalize=True).numpy()

    return repeat_batches(embed)


def load_fastembed(folder: Path) -> Embed:
    fastembed, numpy = import_module("fastembed"), import_module("numpy")
    images = fastembed.ImageEmbedding("Qdrant/clip-ViT-B-32-vision", specific_model_path=str(folder / "onnx/vision"))
    texts = fastembed.TextEmbedding("Qdrant/clip-ViT-B-32-text", specific_model_path=str(folder / "onnx/text"))

    def embed(kind: str, items: Sequence[str]) -> Any:
        rows_nd = numpy.stack(list((images if kind == "image" else texts).embed(list(items), batch_size=len(items))))
        return rows_nd / numpy.linalg.norm(rows_nd, axis=1, keepdims=True)

    return repeat_batches(embed)


def load_clip_client(_folder: Path, server: str) -> Embed:
    """clip-as-service's own client over gRPC, a few requests of `batch` items a call: it sends all that it is given at
    once, whatever its `prefetch` says.
    """
    clip_client, numpy = import_module("clip_client"), import_module("numpy")
    client = clip_client.Client(server)

    def embed_all(_kind: str, items: Iterable[str], batch: int) -> Any:
        left, rows = iter(items), []
        while part := list(islice(left, CALL_BATCHES * batch)):
            rows += [each.embedding for each in client.encode(iter(part), batch_size=batch)]
        rows_nd = numpy.stack(rows)
        return rows_nd / numpy.linalg.norm(rows_nd, axis=1, keepdims=True)

    wait_until(lambda: embed_all("text", ["ready"], 1))
    return embed_all


def wait_until(call: Callable[[], object]) -> None:
    end = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            call()
            return
        except Exception:  # jina raises ConnectionError, grpc its own
            if time.monotonic() > end:
                raise
            time.sleep(POLL_SECONDS)


LIBRARIES: dict[str, Callable[..., Embed]] = {
    "transformers": load_transformers,
    "open_clip": load_open_clip,
    "fastembed": load_fastembed,
    "clip_client": load_clip_client,
}

if __name__ == "__main__":
    main()

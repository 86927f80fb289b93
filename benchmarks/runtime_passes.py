"""One runtime with ViT-B-32 in a process of its own, which measures when it is told to and sleeps in between.

One line of JSON in: {"kind": "image", "batch": 8, "seconds": 3}, or {"kind": "text", "vectors": "file.npy"}. One out.
All runtimes get the same random weights, pictures and captions. Ours start from bytes and ids, all others from tensors.
"""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.model_alone import timed
from benchmarks.other_runtimes import (
    ARCHITECTURE,
    Run,
    batch_of,
    by_modules,
    by_onnx,
    by_openvino,
    by_torchao,
    compiled,
    normalised,
    prepared,
    reference,
)

VECTORS = 16  # whose cosines are told
Runtimes = Mapping[str, tuple[tuple[str, ...], Callable[[], tuple[Run, Run]]]]


@click.command()
@click.option("--runtime", required=True, help="A name that benchmarks/runtimes.py prints.")
def main(runtime: str) -> None:
    """Measure one runtime, one line of JSON at a time.

    \b
    Example:
      echo '{"kind": "image", "batch": 8, "seconds": 3}' | python benchmarks/runtime_passes.py --runtime open_clip
    """
    runs = dict(zip(("image", "text"), RUNTIMES[runtime][1](), strict=True))
    for line in sys.stdin:
        order = json.loads(line)
        click.echo(json.dumps(with_no_gradients(runs[order["kind"]], order)))
        sys.stdout.flush()


@torch.inference_mode()
def with_no_gradients(run: Run, order: Mapping[str, Any]) -> list[float]:
    inputs = batch_of(order["kind"], order.get("batch", VECTORS))
    if "vectors" in order:
        rows = torch.as_tensor(np.asarray(run(inputs)), dtype=torch.float32)
        np.save(order["vectors"], F.normalize(rows, dim=-1).numpy())
        return []
    return timed(lambda: run(inputs), order["seconds"])


def by_open_clip() -> tuple[Run, Run]:
    """As Weaviate's own container calls it: every text as long as the context."""
    model = reference()
    return prepared(model.encode_image, normalised), model.encode_text


def by_us(precision: str) -> tuple[Run, Run]:
    from clip_vectorizer.models.catalog import ModelName, load_encoder
    from clip_vectorizer.models.encoder import PreparedText
    from clip_vectorizer.models.placement import Placement

    encoder = load_encoder(ModelName(f"{ARCHITECTURE}::random"), Placement(precision=precision))

    def texts(ids_nt: Tensor) -> Any:
        return encoder.encode_texts([PreparedText(tuple(row[row != 0].tolist()), 0) for row in ids_nt])

    return lambda batch: encoder.encode_images(list(batch.numpy())), texts


RUNTIMES: Runtimes = {
    "open_clip": ((), by_open_clip),
    "ours fp32": ((), lambda: by_us("fp32")),
    "ours bf16": ((), lambda: by_us("bf16")),
    "ours int8": ((), lambda: by_us("int8")),
    "torch.compile": (("g++",), lambda: by_modules(compiled)),
    "torchao int8": (("g++", "torchao"), lambda: by_modules(by_torchao)),
    "onnxruntime": (("onnx", "onnxruntime"), lambda: by_modules(by_onnx(int8=False))),
    "onnxruntime int8": (("onnx", "onnxruntime"), lambda: by_modules(by_onnx(int8=True))),
    "openvino": (("openvino",), lambda: by_modules(by_openvino("f32"))),
    "openvino bf16": (("openvino",), lambda: by_modules(by_openvino("bf16"))),
}


def missing(runtime: str) -> list[str]:
    return [need for need in RUNTIMES[runtime][0] if not shutil.which(need) and not importlib.util.find_spec(need)]


if __name__ == "__main__":
    main()

"""One runtime with ViT-B-32 in a process of its own, which measures on request and sleeps in between.

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

from benchmarks.model_alone import time_passes
from benchmarks.other_runtimes import (
    ARCHITECTURE,
    Run,
    compute_reference,
    make_batch,
    normalise_pixels,
    prepare_inputs,
    run_compiled,
    run_modules,
    run_onnx,
    run_openvino,
    run_torchao,
)

VECTORS = 16  # whose cosines are printed
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
        click.echo(json.dumps(run_without_gradients(runs[order["kind"]], order)))
        sys.stdout.flush()


@torch.inference_mode()
def run_without_gradients(run: Run, order: Mapping[str, Any]) -> list[float]:
    inputs = make_batch(order["kind"], order.get("batch", VECTORS))
    if "vectors" in order:
        rows = torch.as_tensor(np.asarray(run(inputs)), dtype=torch.float32)
        np.save(order["vectors"], F.normalize(rows, dim=-1).numpy())
        return []
    return time_passes(lambda: run(inputs), order["seconds"])


def build_open_clip_passes() -> tuple[Run, Run]:
    """As Weaviate's own container calls it: every text as long as the context."""
    model = compute_reference()
    return prepare_inputs(model.encode_image, normalise_pixels), model.encode_text


def build_own_passes(precision: str) -> tuple[Run, Run]:
    from clip_vectorizer.models.catalog import ModelName, load_encoder
    from clip_vectorizer.models.devices import Placement
    from clip_vectorizer.models.encoder import PreparedText

    encoder = load_encoder(ModelName(f"{ARCHITECTURE}::random"), Placement(precision=precision))

    def texts(ids_nt: Tensor) -> Any:
        return encoder.encode_texts([PreparedText(tuple(row[row != 0].tolist()), 0) for row in ids_nt])

    return lambda batch: encoder.encode_images(list(batch.numpy())), texts


RUNTIMES: Runtimes = {
    "open_clip": ((), build_open_clip_passes),
    "ours fp32": ((), lambda: build_own_passes("fp32")),
    "ours bf16": ((), lambda: build_own_passes("bf16")),
    "ours int8": ((), lambda: build_own_passes("int8")),
    "torch.compile": (("g++",), lambda: run_modules(run_compiled)),
    "torchao int8": (("g++", "torchao"), lambda: run_modules(run_torchao)),
    "onnxruntime": (("onnx", "onnxruntime"), lambda: run_modules(run_onnx(int8=False))),
    "onnxruntime int8": (("onnx", "onnxruntime"), lambda: run_modules(run_onnx(int8=True))),
    "openvino": (("openvino",), lambda: run_modules(run_openvino("f32"))),
    "openvino bf16": (("openvino",), lambda: run_modules(run_openvino("bf16"))),
}


def find_missing(runtime: str) -> list[str]:
    return [need for need in RUNTIMES[runtime][0] if not shutil.which(need) and not importlib.util.find_spec(need)]


if __name__ == "__main__":
    main()

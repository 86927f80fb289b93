"""Ways to run the same weights: torch.compile, torchao, ONNX Runtime, OpenVINO, each imported where it is used.

N items · T tokens · S image side
"""

import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor, nn

from benchmarks.texts import make_captions
from clip_vectorizer.models.openclip import RANDOM_WEIGHTS_SEED
from clip_vectorizer.models.plain import PlainClip

ARCHITECTURE, SIDE = "ViT-B-32", 224
Run = Callable[[Tensor], Any]  # a batch in, its rows out


class Images(nn.Module):
    def __init__(self, clip: PlainClip) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, inputs: Tensor) -> Tensor:
        return self.clip.encode_image(inputs)


class Texts(Images):
    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.clip.token_embedding(inputs) + self.clip.positional_embedding[: inputs.shape[1]]
        hidden = self.clip.ln_final(self.clip.transformer(hidden, causal=True))
        ends = inputs.argmax(1)[:, None, None].expand(-1, 1, hidden.shape[2])
        rows: Tensor = hidden.gather(1, ends)[:, 0] @ self.clip.text_projection
        return rows


def export_modules() -> tuple[nn.Module, nn.Module]:
    clip = PlainClip(open_clip.get_model_config(ARCHITECTURE))
    clip.load_state_dict(compute_reference().state_dict(), strict=False)
    clip.eval().requires_grad_(False)
    return Images(clip), Texts(clip)


def run_modules(change: Callable[[nn.Module, Tensor], Run]) -> tuple[Run, Run]:
    """`change` makes a module and an example batch into something that runs."""
    images, texts = export_modules()
    examples = normalise_pixels(make_batch("image", 2)), trim_ids(make_batch("text", 2))
    return prepare_inputs(change(images, examples[0]), normalise_pixels), prepare_inputs(
        change(texts, examples[1]), trim_ids
    )


def run_compiled(module: nn.Module, _example: Tensor) -> Run:
    inductor: Any = import_module("torch._inductor.config")
    inductor.freezing = True
    return torch.compile(module)  # a shape each: dynamic ones were slower


def run_torchao(module: nn.Module, _example: Tensor) -> Run:
    torchao: Any = import_module("torchao.quantization")
    torchao.quantize_(module, torchao.Int8DynamicActivationInt8WeightConfig())
    return torch.compile(module)


def run_onnx(int8: bool) -> Callable[[nn.Module, Tensor], Run]:
    onnxruntime: Any = import_module("onnxruntime")
    quantization: Any = import_module("onnxruntime.quantization")

    def change(module: nn.Module, example: Tensor) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            axes = {"inputs": {0: "n", 1: "t"} if example.ndim == 2 else {0: "n"}}
            names: dict[str, Any] = {"input_names": ["inputs"], "dynamic_axes": axes, "opset_version": 17}
            torch.onnx.export(module, (example,), file, dynamo=False, **names)
            if int8:
                kind = quantization.QuantType.QInt8
                quantization.quantize_dynamic(file, file.with_name("int8.onnx"), weight_type=kind, per_channel=True)
            session = onnxruntime.InferenceSession(file.with_name("int8.onnx") if int8 else file)
        return lambda batch: session.run(None, {"inputs": batch.numpy()})[0]

    return change


def run_openvino(hint: str) -> Callable[[nn.Module, Tensor], Run]:
    openvino: Any = import_module("openvino")

    def change(module: nn.Module, example: Tensor) -> Run:
        shape = [-1, -1] if example.ndim == 2 else [-1, *example.shape[1:]]
        model = openvino.convert_model(module, example_input=example, input=[shape])
        request = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint}).create_infer_request()
        return lambda batch: request.infer([batch.numpy()])[0]

    return change


def make_batch(kind: str, size: int) -> Tensor:
    """(N, S, S, 3) bytes, or (N, 77) ids padded with 0."""
    if kind == "text":
        ids: Tensor = open_clip.get_tokenizer(ARCHITECTURE)(make_captions(size))
        return ids
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (size, SIDE, SIDE, 3), dtype=np.uint8))


def normalise_pixels(bytes_nss3: Tensor) -> Tensor:
    mean, std = (torch.tensor(each) for each in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))
    return ((bytes_nss3 / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def trim_ids(ids_nt: Tensor) -> Tensor:
    return ids_nt[:, : int(ids_nt.argmax(1).max()) + 1]


def prepare_inputs(run: Run, prepare: Callable[[Tensor], Tensor]) -> Run:
    """Preparation is not measured: it is done when a batch is first seen."""
    seen: dict[int, Tensor] = {}
    return lambda batch: run(seen.setdefault(batch.data_ptr(), prepare(batch)))


def compute_reference() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_WEIGHTS_SEED)
        return open_clip.create_model(ARCHITECTURE).eval().requires_grad_(False)

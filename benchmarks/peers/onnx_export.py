"""Writes both towers of a transformers' CLIP as ONNX files. Runs under the exporter's own Python.

PYTHON onnx_export.py TRANSFORMERS_FOLDER OUTPUT_FOLDER fastembed|rclip

fp32, opset 17, batches of any size, projections included, as optimum exports them; ONNX Runtime fuses what it can when
it loads a file. fastembed's text tower takes an attention mask and as many tokens as there are; rclip's takes 77.

N items · T tokens · S image side
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

OPSET = 17
START, END, WORDS = 49406, 49407, (320, 1125, 539)
FILES = {  # that fastembed reads beside model.onnx
    "vision": ("config.json", "preprocessor_config.json"),
    "text": ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
}


class Tower(nn.Module):
    """Only the projected vectors of a model of transformers."""

    def __init__(self, model: Any, output: str) -> None:
        super().__init__()
        self.model, self.output = model.eval(), output

    def forward(self, *inputs: Tensor) -> Tensor:
        rows_nd: Tensor = getattr(self.model(*inputs), self.output)
        return rows_nd


def main() -> None:
    source, output, layout = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    vision: Any = CLIPVisionModelWithProjection.from_pretrained(source, attn_implementation="eager")
    text: Any = CLIPTextModelWithProjection.from_pretrained(source, attn_implementation="eager")
    pixels_n3ss = torch.rand(2, 3, vision.config.image_size, vision.config.image_size)
    images, texts = Tower(vision, "image_embeds"), Tower(text, "text_embeds")
    if layout == "rclip":
        context = text.config.max_position_embeddings
        export(images, {"input": pixels_n3ss}, output / "vision")
        export(texts, {"input": make_ids(context)}, output / "text")
    else:
        ids_nt = make_ids(len(WORDS) + 2)
        export(images, {"pixel_values": pixels_n3ss}, output / "vision")
        export(
            texts, {"input_ids": ids_nt, "attention_mask": torch.ones_like(ids_nt)}, output / "text", any_length=True
        )
        for name, files in FILES.items():
            for file in files:
                shutil.copy(source / file, output / name / file)


def make_ids(length: int) -> Tensor:
    """(2, T) ids of two texts, padded with zeros."""
    row = [START, *WORDS, END]
    return torch.tensor([row + [0] * (length - len(row))] * 2)


def export(module: nn.Module, inputs: Mapping[str, Tensor], folder: Path, any_length: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    axes = {name: {0: "n", 1: "t"} if any_length else {0: "n"} for name in inputs}
    names: dict[str, Any] = {"input_names": list(inputs), "output_names": ["output"], "dynamic_axes": axes}
    torch.onnx.export(module, tuple(inputs.values()), folder / "model.onnx", dynamo=False, opset_version=OPSET, **names)


if __name__ == "__main__":
    main()

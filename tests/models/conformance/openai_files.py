"""OpenAI's files: TorchScript archives with half-precision weights, under the names of the originals."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
import torch
from open_clip.model import convert_weights_to_fp16
from torch import Tensor, nn
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from clip_vectorizer.models.catalog import ModelName
from tests.models.conformance.agreement import Format, Reference, SavedModel
from tests.models.conformance.weights import randomise

# File, and what is kept of the original's shape: side of the image, and patch or blocks of the four stages.
ARCHIVES: dict[str, tuple[int, int | list[int]]] = {
    "RN50.pt": (224, [1, 2, 1, 1]),
    "RN101.pt": (224, [1, 1, 2, 1]),
    "RN50x4.pt": (288, [1, 1, 2, 1]),
    "RN50x16.pt": (384, [1, 1, 1, 2]),
    "RN50x64.pt": (448, [1, 1, 1, 1]),
    "ViT-B-32.pt": (224, 32),
    "ViT-B-16.pt": (224, 16),
    "ViT-L-14.pt": (224, 14),
    "ViT-L-14-336px.pt": (336, 14),
}
NUMBERS = ("input_resolution", "context_length", "vocab_size")  # that OpenAI's programs store beside the weights
HEAD, RESNET_WIDTH, LAYERS, DIMENSION = 64, 8, 2, 64  # OpenAI's heads are 64 wide
TWO_HEADS = ("ViT-B-32.pt",)
START, END, CONTEXT = 49406, 49407, 77


def small_config(file: str) -> dict[str, Any]:
    """Return open_clip's configuration of a small model with the structure of OpenAI's `file`."""
    side, detail = ARCHIVES[file]
    heads = 2 if file in TWO_HEADS else 1
    words = {"context_length": CONTEXT, "vocab_size": 49408, "width": heads * HEAD, "heads": heads, "layers": LAYERS}
    vision: dict[str, Any] = {"image_size": side, "layers": detail, "width": RESNET_WIDTH, "patch_size": None}
    if isinstance(detail, int):
        vision = {"image_size": side, "layers": LAYERS, "width": heads * HEAD, "patch_size": detail}
    return {"embed_dim": DIMENSION, "vision_cfg": vision, "text_cfg": words}


def build_model(file: str) -> Any:
    model = open_clip.CLIP(**small_config(file), quick_gelu=True)
    randomise(model)
    return model


def save_archive(file: Path) -> None:
    """Save a program with OpenAI's methods, whose weights are of half precision where OpenAI's are."""
    file.write_bytes(build_archive(file.name))


@cache
def build_archive(name: str) -> bytes:
    """Tracing takes long, and two modules of tests need the nine."""
    model, side = build_model(name), ARCHIVES[name][0]
    for name, number in zip(NUMBERS, (side, CONTEXT, model.vocab_size), strict=True):
        if hasattr(model, name):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(number))
    inputs = {
        "encode_image": torch.zeros(1, 3, side, side),
        "encode_text": torch.tensor([[START, 320, END] + [0] * (CONTEXT - 3)]),
    }
    with hide_warnings(), TemporaryDirectory(prefix="conformance-") as folder:
        trace: Any = torch.jit.trace_module  # untyped
        program = trace(model, inputs, check_trace=False)
        halve(program, model)
        file = Path(folder) / name  # its name is in the archive
        torch.jit.save(program, str(file))
        return file.read_bytes()


def halve(program: Any, model: nn.Module) -> None:
    """Convert those weights of `program` to half precision that OpenAI converts; `model` is converted too."""
    convert_weights_to_fp16(model)
    for (_, value), half in zip(program.named_parameters(), model.parameters(), strict=True):
        value.data = value.data.to(half.dtype)


def load_program(file: Path) -> Any:
    """Load a program as OpenAI's package does: it computes by itself."""
    with hide_warnings():
        load: Any = torch.jit.load  # untyped
        return load(str(file), map_location="cpu").float().eval()


@contextmanager
def hide_warnings() -> Iterator[None]:
    """torch.jit is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def openai_transform(side: int) -> Callable[[Any], Tensor]:
    """OpenAI's preprocessing, of torchvision."""
    scaled: Callable[[Any], Tensor] = transforms.Compose(
        [
            transforms.Resize(side, interpolation=InterpolationMode.BICUBIC),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize(open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD),
        ]
    )
    return scaled


def reference_of(model: Any, side: int) -> Reference:
    return Reference(
        tokenize=open_clip.SimpleTokenizer(),
        transform=openai_transform(side),
        mean=open_clip.OPENAI_DATASET_MEAN,
        std=open_clip.OPENAI_DATASET_STD,
        encode_text=model.encode_text,
        encode_image=model.encode_image,
    )


def save_openai(file: str) -> Callable[[Path], SavedModel]:
    def save(folder: Path) -> SavedModel:
        save_archive(folder / file)
        return SavedModel(ModelName(str(folder / file)), reference_of(load_program(folder / file), ARCHIVES[file][0]))

    return save


def save_state_dict(file: str) -> Callable[[Path], SavedModel]:
    """The weights of an archive alone, with OpenAI's three numbers beside them."""

    def save(folder: Path) -> SavedModel:
        path = folder / file
        save_archive(path)
        with hide_warnings():
            load: Any = torch.jit.load  # untyped
            weights = load(str(path), map_location="cpu").state_dict()
            torch.save({name: value for name, value in weights.items() if name != "attn_mask"}, path)
            theirs = open_clip.load_openai_model(str(path), device="cpu")
        return SavedModel(ModelName(str(path)), reference_of(theirs, ARCHIVES[file][0]))

    return save


FORMATS = [
    *(
        Format(f"OpenAI's archive `{file}` (TorchScript, float16)", "the program in the archive", save_openai(file))
        for file in ARCHIVES
    ),
    *(
        Format(f"OpenAI's state dict `{file}` (float16)", "`open_clip.load_openai_model`", save_state_dict(file))
        for file in ("RN50.pt", "ViT-B-32.pt")
    ),
]

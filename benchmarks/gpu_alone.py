"""One model on one device with nothing around it: passes by batch size, with and without the way to the device."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import open_clip
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.models.runners import batch_buckets
from clip_vectorizer.models.torch_encoder import TorchEncoder, create_recorder

# Dense bf16 TFLOP/s by the makers' data sheets, by a part of the name that CUDA gives; the first match counts.
PEAKS = {
    "H200": 989,
    "H100 PCIe": 756,
    "H100": 989,
    "B200": 2250,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "RTX 4090": 165,
}
TERA, GEMM_SIDE, SHORT_TEXT = 1e12, 8192, 12  # tokens
CPU_GEMM_SIDE = 1024


@dataclass(frozen=True, slots=True)
class Pass:
    """Seconds of one pass over `batch` items."""

    kind: str  # image, text
    batch: int
    with_copies: float  # from rows on the host to rows on the host
    alone: float  # on the device only


def build_passes(encoder: TorchEncoder, max_batch: int, seconds: float) -> Iterator[Pass]:
    side = encoder.info.image_size
    rng = np.random.default_rng(0)
    pixels = list(rng.integers(0, 256, (max_batch, side, side, 3), np.uint8))
    text = PreparedText((49406, *range(1000, 1000 + SHORT_TEXT - 2), 49407), SHORT_TEXT)
    for batch in batch_buckets(max_batch):
        inputs = torch.from_numpy(np.stack(pixels[:batch]))
        with_copies = time_pass(partial(encoder.encode_images, pixels[:batch]), seconds)
        yield Pass("image", batch, with_copies, measure_alone(encoder, encoder.image_pass, inputs, seconds))
        ids = torch.tensor([text.ids] * batch)
        with_copies = time_pass(partial(encoder.encode_texts, [text] * batch), seconds)
        yield Pass("text", batch, with_copies, measure_alone(encoder, encoder.text_pass, ids, seconds))


def measure_alone(encoder: TorchEncoder, run: Callable[[Tensor], Tensor], inputs: Tensor, seconds: float) -> float:
    """A recorded pass where the device records, else the pass itself, many in a row before one synchronisation."""
    device = torch.device(encoder.info.device)
    recorder = create_recorder(device)
    if recorder is None:
        with torch.inference_mode():
            return time_pass(lambda: run(inputs), seconds)
    with recorder.scope():
        replay = recorder.record(run, inputs.to(device))
        return time_pass(replay, seconds, lambda: torch.cuda.synchronize(device))


def time_pass(call: Callable[[], object], least: float, settle: Callable[[], object] = lambda: None) -> float:
    """Of one call, the mean over `least` seconds; `settle` waits for what the calls have begun."""
    call()
    settle()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < least:
        for _ in range(10 if count else 1):
            call()
        settle()
        count += 10 if count else 1
    return (time.perf_counter() - start) / count


def count_operations(architecture: str) -> dict[str, float]:
    """Floating-point operations of one image and of one text of SHORT_TEXT tokens; a multiply-add counts as two."""
    with torch.device("meta"):
        model = open_clip.create_model(architecture, device="meta").train()  # eval mode fuses what cannot be counted
        side, context = model.visual.image_size[0], model.context_length
        image = record_operation(lambda: model.encode_image(torch.zeros(1, 3, side, side)))
        text = record_operation(lambda: model.encode_text(torch.zeros(1, context, dtype=torch.long)))
    return {"image": image, "text": text * SHORT_TEXT / context}  # all but attention's 2 % grows with the length


def record_operation(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def find_peak(device: torch.device) -> float | None:
    """TFLOP/s by the data sheet; None for a card that is not in the table."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((float(peak) for part, peak in PEAKS.items() if part in name), None)


def measure_product_peak(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """TFLOP/s that one large product of matrices reaches: what there is to have in practice."""
    side = GEMM_SIDE if device.type == "cuda" else CPU_GEMM_SIDE
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    settle = (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)
    return 2 * side**3 / time_pass(lambda: left @ right, seconds, settle) / TERA

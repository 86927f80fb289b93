"""The model alone, in a process that measures on request and sleeps in between.

One line of JSON in: {"kind": "image", "batch": 1, "seconds": 3}. One out: the milliseconds of every pass.
`--runner open_clip` calls open_clip's own encode_image and encode_text; a precision calls our Encoder.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self

import click

from benchmarks.servers import MODEL, make_offline_environment
from benchmarks.texts import make_captions

Pass = Callable[[], object]
LEAST_PASSES = 3


class ModelAlone:
    """A handle on such a process. A context manager."""

    def __init__(self, runner: str, model: str = MODEL) -> None:
        words = (sys.executable, __file__, "--runner", runner, "--model", model)
        self.name = f"model alone, {runner}"
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=make_offline_environment(),
        )

    def __enter__(self) -> Self:
        self.measure("image", 1, 0)  # loaded and warm when this returns
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # its input ends, and so does it

    def measure(self, kind: str, batch: int, seconds: float) -> list[float]:
        """Milliseconds of every pass of `batch` items. Raises RuntimeError when the process has ended."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"kind": kind, "batch": batch, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended; run `python {__file__} --help` for what it needs")
        passes: list[float] = json.loads(line)
        return passes


@click.command()
@click.option("--runner", default="open_clip", show_default=True, help="open_clip, or a precision of ours.")
@click.option("--model", default=MODEL, show_default=True, help="ARCHITECTURE::random.")
def main(runner: str, model: str) -> None:
    """Measure passes of a model, one line of JSON at a time.

    \b
    Example:
      echo '{"kind": "image", "batch": 1, "seconds": 3}' | python benchmarks/model_alone.py
    """
    passes = build_open_clip_passes(model) if runner == "open_clip" else build_own_passes(model, runner)
    for line in sys.stdin:
        order = json.loads(line)
        click.echo(json.dumps(time_passes(passes(order["kind"], order["batch"]), order["seconds"])))
        sys.stdout.flush()


def time_passes(run: Pass, seconds: float) -> list[float]:
    run()
    passes: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end or len(passes) < LEAST_PASSES:
        run()
        passes.append((time.perf_counter() - start) * 1000)
    return passes


def build_open_clip_passes(name: str) -> Callable[[str, int], Pass]:
    import open_clip
    import torch

    architecture = name.partition("::")[0]
    model: Any = open_clip.create_model(architecture).eval().requires_grad_(False)
    side, tokens = model.visual.image_size[0], open_clip.get_tokenizer(architecture)

    def of(kind: str, batch: int) -> Pass:
        if kind == "text":
            ids = tokens(make_captions(batch))
            return torch.inference_mode()(lambda: model.encode_text(ids))
        pixels = torch.rand(batch, 3, side, side)
        return torch.inference_mode()(lambda: model.encode_image(pixels))

    return of


def build_own_passes(name: str, precision: str) -> Callable[[str, int], Pass]:
    import numpy as np

    from clip_vectorizer.models.catalog import ModelName, load_encoder
    from clip_vectorizer.models.devices import Placement
    from clip_vectorizer.models.torch_threads import set_torch_threads

    encoder = load_encoder(ModelName(name), Placement(precision=precision))
    set_torch_threads([encoder])
    side, rng = encoder.info.image_size, np.random.default_rng(0)

    def of(kind: str, batch: int) -> Pass:
        if kind == "text":
            texts = [encoder.prepare_text(text) for text in make_captions(batch)]
            return lambda: encoder.encode_texts(texts)
        pixels = list(rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8))
        return lambda: encoder.encode_images(pixels)

    return of


if __name__ == "__main__":
    main()

"""How long phrases in a picture take: one pass for all of them, against a pass for each as transformers' pipeline runs.

Random weights: times depend on the architecture alone. OWL-ViT base (patches of 32 pixels, 768 x 768) by the pipeline
of transformers. Grounding DINO tiny by a pass for each phrase, for no pipeline of transformers takes it, at half its
usual size (400 x 533): on two cores a pass at 800 x 1066 takes the better part of a minute.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from benchmarks.common import Report, add_json_option, side_by_side
from clip_vectorizer.models.detectors import Detector
from clip_vectorizer.models.grounding.fused import FusedGrounder
from clip_vectorizer.models.grounding.grounder import Grounder
from clip_vectorizer.models.grounding.owl import OwlGrounder
from clip_vectorizer.models.owl import OwlTowers

SIZE = (1066, 800)
PHRASES = [f"a {colour} {thing}" for thing in ("apple", "cat", "dog", "house") for colour in ("red", "green", "photo")]
OWL_CONTEXT = 16
DINO_SIZE = {"shortest_edge": 400, "longest_edge": 666}
WORDS = sorted({word for phrase in PHRASES for word in phrase.split()})
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HUB: Any = transformers  # untyped


@click.command()
@click.option("--phrases", "counts", multiple=True, default=(1, 3, 10), show_default=True, type=click.IntRange(1, 12))
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
@add_json_option
def main(counts: tuple[int, ...], rounds: int, threads: int, json_file: Path | None) -> None:
    """Time phrases in one picture.

    \b
    Example:
      python -m benchmarks.grounding_passes --phrases 3 --rounds 1
    """
    torch.set_num_threads(threads)
    report = Report("phrases in a picture of 1066 x 800 pixels: one pass for all, against a pass for each")
    report.begin()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
    for name, against, make in (
        ("OWL-ViT base", "transformers' pipeline", make_owl),
        ("Grounding DINO tiny", "a pass for each", make_grounding_dino),
    ):
        grounder, one_by_one = make()
        for count in counts:
            phrases = PHRASES[:count]
            theirs, ours = zip(
                *(measure_round(grounder, one_by_one, image, phrases) for _ in range(rounds)), strict=True
            )
            report.add(side_by_side(f"{name}, {count} phrases", "s", theirs, ours, against))
    report.write(json_file)


OneByOne = Callable[[Image.Image, Sequence[str]], object]


def measure_round(
    grounder: Grounder, one_by_one: OneByOne, image: Image.Image, phrases: Sequence[str]
) -> tuple[float, float]:
    """Seconds of both ways."""
    theirs = measure_seconds(lambda: one_by_one(image, phrases))
    return theirs, measure_seconds(lambda: grounder.ground(image, [[phrase] for phrase in phrases]))


def measure_seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def make_owl() -> tuple[Grounder, OneByOne]:
    model = HUB.OwlViTForObjectDetection(HUB.OwlViTConfig()).eval().requires_grad_(False)
    processor = HUB.OwlViTProcessor(HUB.OwlViTImageProcessor(do_center_crop=False), make_clip_tokenizer())
    find = HUB.pipeline(
        "zero-shot-object-detection",
        model=model,
        image_processor=processor.image_processor,
        tokenizer=processor.tokenizer,
        device="cpu",
    )
    detector = Detector("owlvit:random", "owlvit", model, processor, torch.device("cpu"), "random")
    return OwlGrounder(OwlTowers(detector)), lambda image, phrases: find(image, candidate_labels=list(phrases))


def make_clip_tokenizer() -> Any:
    """Words between the two marks of CLIP, the end of which has the largest id."""
    start, end = ("<|startoftext|>", 49406), ("<|endoftext|>", 49407)
    words = {word: number for number, word in enumerate(("!", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel({**words, **dict([start, end])}, unk_token="!"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(f"{start[0]} $A {end[0]}", None, [start, end])
    marks = {"pad_token": "!", "unk_token": "!", "bos_token": start[0], "eos_token": end[0]}
    return HUB.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=OWL_CONTEXT, **marks)


def make_grounding_dino() -> tuple[Grounder, OneByOne]:
    model = HUB.GroundingDinoForObjectDetection(HUB.GroundingDinoConfig()).eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.txt").write_text("\n".join([*BERT_SPECIAL, ".", "?", *WORDS]))
        processor = HUB.GroundingDinoProcessor(
            HUB.GroundingDinoImageProcessor(size=DINO_SIZE), HUB.BertTokenizer.from_pretrained(folder)
        )
    detector = Detector("grounding-dino:random", "grounding-dino", model, processor, torch.device("cpu"), "random")

    def one_by_one(image: Image.Image, phrases: Sequence[str]) -> object:
        with torch.inference_mode():
            return [model(**processor(images=image, text=[[each]], return_tensors="pt")) for each in phrases]

    return FusedGrounder(detector), one_by_one


if __name__ == "__main__":
    main()

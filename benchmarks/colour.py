"""What colour conversion costs, and what it is worth.

    python benchmarks/colour.py --accuracy --work WORK_FOLDER

The cost is that of decoding and preprocessing a JPEG for a model of 224 pixels, with `--colour srgb` against `raw`, in
turns on the same file. The worth is measured on drawings that the bundled model never saw: those of `examples/images`,
or the whole held-out set from the npm packages in WORK_FOLDER, which `clip-vectorizer train emoji` uses. Each is stored
in a larger colour space with the profile embedded, as cameras and phones do, so `raw` sees pale colours. Both ways see
the same files, so the interval of their difference is over drawings drawn with replacement.
"""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image, ImageCms

from benchmarks.common import Report, add_json_option, side_by_side
from benchmarks.photographs import make_photographs
from clip_vectorizer.images.icc import BT709, D65, PRIMARIES, SRGB_CURVE, RgbPrimaries, ToneCurve, build_rgb_profile
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.images.settings import ColourMode, DecodeSettings
from clip_vectorizer.images.upright import blend_on_white
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.query.evaluation.statistics import (
    BooleanArray,
    IntegerArray,
    Share,
    is_right_at,
    paired_bootstrap,
    rank_candidates,
    rank_true_classes,
)
from clip_vectorizer.query.prompts import get_templates
from clip_vectorizer.server.decode import decode_pixels
from clip_vectorizer.training.art_sets import HELD_OUT_SET
from clip_vectorizer.training.drawings import fetch_packages, load_concepts, render_set
from clip_vectorizer.training.evaluation import place_on_white, split_batches
from clip_vectorizer.vectors import Vectors, ensemble

CLAIM = "colour conversion costs <= 3 % of decoding a photograph in sRGB"
DRAWINGS = Path(__file__).parents[1] / "examples" / "images"
SIZES = {(640, 480): 4, (4000, 3000): 2}  # width and height; photographs
TIMED_MODEL = "ViT-B-32::random"  # 224 pixels
DRAWING_SIZE = 96  # pixels
PROMPTS = "drawing-7"
D50 = (0.3457, 0.3585)  # x, y
PROFILES = {
    "sRGB": build_rgb_profile("sRGB", BT709, (SRGB_CURVE,)),
    "Display P3": build_rgb_profile("Display P3", PRIMARIES[12], (SRGB_CURVE,)),
    "Adobe RGB": build_rgb_profile(
        "Adobe RGB", RgbPrimaries((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65), (ToneCurve(563 / 256),)
    ),
    "ProPhoto": build_rgb_profile(
        "ProPhoto", RgbPrimaries((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50), (ToneCurve(1.8),)
    ),
}
BooleanPair = dict[ColourMode, BooleanArray]
SETTINGS: dict[ColourMode, DecodeSettings] = {"raw": DecodeSettings(colour="raw"), "srgb": DecodeSettings()}


@click.command()
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1))
@click.option("--accuracy", is_flag=True, help="Measure the answers to drawings in larger colour spaces too.")
@click.option(
    "--work", type=click.Path(path_type=Path, file_okay=False), help="All held-out drawings, rendered from here."
)
@add_json_option
def main(rounds: int, accuracy: bool, work: Path | None, json_file: Path | None) -> None:
    """Measure the cost of colour conversion, and what it is worth.

    \b
    Example:
      python benchmarks/colour.py --rounds 3
    """
    report = Report(CLAIM)
    report.begin()
    encoder = load_encoder(ModelName(TIMED_MODEL), Placement())
    for size, count in SIZES.items():
        photographs = make_photographs(count, size=size)
        for name in ("sRGB", "Display P3"):
            compare_costs(
                report,
                f"{size[0]} x {size[1]}, {name}",
                encoder,
                [embed(data, PROFILES[name]) for data in photographs],
                rounds,
            )
    if accuracy:
        compare_answers(report, render_drawings(work) if work else load_drawings())
    report.write(json_file)


def embed(data: bytes, profile: bytes) -> bytes:
    """The JPEG file with the profile in front: one segment holds 64 kB."""
    body = b"ICC_PROFILE\0\1\1" + profile
    return data[:2] + b"\xff\xe2" + (len(body) + 2).to_bytes(2) + body + data[2:]


def compare_costs(report: Report, what: str, encoder: Encoder, files: Sequence[bytes], rounds: int) -> None:
    """Milliseconds of one thread an image, a pair of values a round and file."""
    seconds: dict[ColourMode, list[float]] = {"raw": [], "srgb": []}
    for turn in range(-1, rounds):  # the first is not counted: caches are filled
        for data in files:
            for mode in SETTINGS if turn % 2 else reversed(SETTINGS):
                start = time.thread_time()
                decode_pixels(encoder, data, SETTINGS[mode])
                if turn >= 0:
                    seconds[mode].append(1000 * (time.thread_time() - start))
    target = "<= 1.03" if "sRGB" in what else ""
    report.add(side_by_side(what, "CPU ms an image", seconds["raw"], seconds["srgb"], "raw", target))


@dataclass(frozen=True, slots=True)
class HeldOutDrawings:
    """N drawings as sRGB on white, with their names, and their labels where they have some."""

    images: list[Image.Image]
    names: list[str]
    labels: list[str]


def load_drawings() -> HeldOutDrawings:
    files = sorted(DRAWINGS.rglob("*.png"))
    images = []
    for file in files:
        with Image.open(file) as image:
            images.append(blend_on_white(image.convert("RGBA")))
    names = [file.with_suffix(".txt").read_text(encoding="utf-8").split(" · ")[0] for file in files]
    return HeldOutDrawings(images, names, [file.parent.name for file in files])


def render_drawings(work: Path) -> HeldOutDrawings:
    """The whole held-out set; without labels."""
    packages = fetch_packages(work / "packages")
    concepts = load_concepts(packages)
    images = [place_on_white(pixels) for pixels in render_set(packages, HELD_OUT_SET, concepts, DRAWING_SIZE)]
    return HeldOutDrawings(images, [concept.name_en for concept in concepts], [])


def store(image: Image.Image, profile: bytes) -> bytes:
    """A PNG file in the profile's colours."""
    source, target = (ImageCms.ImageCmsProfile(io.BytesIO(data)) for data in (PROFILES["sRGB"], profile))
    file = io.BytesIO()
    ImageCms.ImageCmsTransform(source, target, "RGB", "RGB").apply(image).save(file, "PNG", icc_profile=profile)
    return file.getvalue()


def compare_answers(report: Report, drawings: HeldOutDrawings) -> None:
    encoder = load_encoder(ModelName("emoji"), Placement())
    texts = embed_all_texts(encoder, drawings)
    gains: dict[str, list[BooleanPair]] = {}
    for name, profile in PROFILES.items():
        files = [store(image, profile) for image in drawings.images]
        images = {mode: embed_files(encoder, files, mode) for mode in SETTINGS}
        print_cosines(report, name, images)
        for question, right in answer_questions(texts, images).items():
            print_row(report, f"{name}, {question}", right)
            if name != "sRGB":
                gains.setdefault(question, []).append(right)
    for question, pairs in gains.items():
        means = [np.mean([pair[mode] for pair in pairs], axis=0) for mode in ("srgb", "raw")]
        gain = paired_bootstrap(*means)
        report.note(f"all {len(pairs)}, {question}: srgb - raw {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")


def embed_all_texts(encoder: Encoder, drawings: HeldOutDrawings) -> dict[str, tuple[Vectors, IntegerArray]]:
    kinds = {"labels": drawings.labels, "names": drawings.names}
    return {kind: embed_names(encoder, texts) for kind, texts in kinds.items() if texts}


def answer_questions(
    texts: dict[str, tuple[Vectors, IntegerArray]], images: dict[ColourMode, Vectors]
) -> dict[str, BooleanPair]:
    """Right or not, for each drawing or name."""
    answers = {}
    for kind, (texts_md, text_n) in texts.items():
        ranks = {mode: rank_true_classes(each @ texts_md.T, text_n) for mode, each in images.items()}
        answers[f"drawing to one of {len(texts_md)} {kind}, top-1"] = count_right(ranks, 1)
    names_md, name_n = texts["names"]
    ranks = {mode: rank_candidates(names_md, each, np.arange(len(names_md)), name_n) for mode, each in images.items()}
    for depth in (1, 10):
        answers[f"name to one of {len(name_n)} drawings, recall@{depth}"] = count_right(ranks, depth)
    return answers


def count_right(ranks: dict[ColourMode, IntegerArray], depth: int) -> BooleanPair:
    return {mode: is_right_at(each, depth) for mode, each in ranks.items()}


def embed_names(encoder: Encoder, names: Sequence[str]) -> tuple[Vectors, IntegerArray]:
    """(M, D) unit rows of the different names, and the number of each of the N."""
    different = list(dict.fromkeys(names))
    return np.stack([embed_text(encoder, name) for name in different]), np.array(
        [different.index(name) for name in names]
    )


def embed_text(encoder: Encoder, text: str) -> Vectors:
    """(D,): the mean over the prompts."""
    prompts = [template.format(text) for template in get_templates(PROMPTS)]
    return ensemble(encoder.encode_texts([encoder.prepare_text(prompt) for prompt in prompts]))


def embed_files(encoder: Encoder, files: Sequence[bytes], mode: ColourMode) -> Vectors:
    """(N, D) unit rows."""
    decoded = [decode_image(data, SETTINGS[mode]) for data in files]
    pictures = [encoder.prepare_image(image.pixels, image.box) for image in decoded]
    return np.concatenate([encoder.encode_images(part) for part in split_batches(pictures)])


def print_cosines(report: Report, name: str, images: dict[ColourMode, Vectors]) -> None:
    cosines = (images["raw"] * images["srgb"]).sum(axis=1)
    report.note(f"{name}: cosine of raw to srgb, median {np.median(cosines):.4f}, least {cosines.min():.4f}")


def print_row(report: Report, what: str, right: BooleanPair) -> None:
    shares = ", ".join(f"{mode} {format_share(Share.of(each))}" for mode, each in right.items())
    gain = paired_bootstrap(right["srgb"], right["raw"])
    report.note(f"{what}: {shares}; srgb - raw {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")


def format_share(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

"""Counts parameters and GFLOP of every model, collects what is published, writes clip_vectorizer/models/facts.json.

Counted: each architecture is built on torch's meta device, without weights, and torch's own counter adds up the
floating-point operations of one image and of one text of the full context (a multiplication and an addition are two).
A tower whose configuration is only on a hub is not built: its figures are open_clip's own, from its model_profile.csv,
but for the GFLOP of a text, which are counted there at the tower's limit (514 or 1,024 tokens) and not at the context.
Published: ImageNet top-1 in open_clip's openclip_results.csv and README, licences from the places named in LICENCES.

DOCS is the folder docs/ of open_clip's repository.
"""

import csv
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks.common import format_command, format_today
from clip_vectorizer.models.facts import CountedArchitecture, VisionTower, load_facts

REPOSITORY = Path(__file__).resolve().parents[1]
FACTS = REPOSITORY / "clip_vectorizer" / "models" / "facts.json"
EMOJI = REPOSITORY / "clip_vectorizer" / "models" / "emoji"
RESULTS, PROFILE = "openclip_results.csv", "model_profile.csv"
IMAGENET = "ImageNet 1k"
GIGA, MEGA = 10**9, 10**6
DECIMALS = 3  # of GFLOP
CLIP_BPE = "CLIP BPE"  # open_clip's SimpleTokenizer
QUICK = "-quickgelu"

# The table in open_clip's README; models that its results file, of 2023, does not have.
README_TOP1 = {
    ("ViT-L-14", "dfn2b_s39b"): 0.822,
    ("ViT-L-16-SigLIP2-256", "webli"): 0.825,
    ("PE-Core-L-14-336", "meta"): 0.835,
    ("ViT-SO400M-16-SigLIP2-384", "webli"): 0.841,
    ("ViT-gopt-16-SigLIP2-384", "webli"): 0.850,
    ("PE-Core-bigG-14-448", "meta"): 0.854,
}
RESULTS_SOURCE, README_SOURCE = "open_clip docs/openclip_results.csv", "open_clip README.md"
PRETRAINED = "open_clip docs/PRETRAINED.md"
CARD = "model cards on the hub"

# Repository of the weights: licence and where it was read, in November 2026. The first that matches counts.
LICENCES: tuple[tuple[str, str, str], ...] = (
    (r"\.openai/$", "MIT", "LICENSE of openai/CLIP"),
    (r"\.metaclip_(400m|2pt5b|altogether)/$", "CC-BY-NC", PRETRAINED),
    (r"^timm/eva", "MIT", PRETRAINED),
    (r"^visheratin/nllb", "CC-BY-NC", PRETRAINED),
    (r"^UCSC-VLAA/.*CLIPA", "Apache-2.0", PRETRAINED),
    (r"^timm/.*-SigLIP2", "Apache-2.0", f"{CARD}: timm's SigLIP2 at 384 and 512"),
    (r"^timm/.*-SigLIP", "Apache-2.0", PRETRAINED),
    (r"^apple/DFN", "Apple AMLR", f"{CARD}: apple/DFN2B-CLIP-ViT-B-16"),
    (r"^apple/MobileCLIP", "Apple AMLR", f"{CARD}: apple/MobileCLIP-S2-OpenCLIP"),
    (r"^timm/MobileCLIP2", "Apple AMLR", f"{CARD}: timm/MobileCLIP2-S0-OpenCLIP and L-14"),
    (r"^timm/PE-Core", "Apache-2.0", f"{CARD}: timm/PE-Core-bigG-14-448"),
    (r"^jienengchen/ViTamin", "MIT", f"{CARD}: jienengchen/ViTamin-XL-384px"),
    (r"^laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K/$", "MIT", "card of the model on the hub"),
    (r"^laion/", "MIT", f"{CARD}: nine of laion's"),
)


@click.command()
@click.argument("docs", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
def main(docs: Path | None) -> None:
    """Count and collect; takes some three minutes on two cores. Without DOCS only the bundled model is counted anew.

    \b
    Example:
      python benchmarks/model_facts.py open_clip/docs
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # before open_clip is imported: what is counted does not depend on a cache
    logging.disable(logging.WARNING)  # open_clip warns of random weights
    facts = collect_facts(docs) if docs else load_facts()
    FACTS.write_text(format_facts({**facts, "emoji": asdict(count_emoji())}), encoding="utf-8")
    click.echo(f"{FACTS.relative_to(REPOSITORY)}: {len(facts['architectures'])} architectures")


def collect_facts(docs: Path) -> dict[str, Any]:
    import open_clip
    import torch

    profile = read_rows(docs / PROFILE, ("model",))
    results = read_rows(docs / RESULTS, ("name", "pretrained"))
    architectures = dict(count_architectures(sorted(open_clip.list_models()), profile))
    return {
        "date": format_today(),
        "command": format_command(),
        "open_clip": open_clip.__version__,
        "torch": torch.__version__,
        "architectures": {name: asdict(each) for name, each in architectures.items()},
        "models": [describe(name, tag, results) for name, tag in open_clip.list_pretrained() if name in architectures],
    }


def read_rows(file: Path, keys: Sequence[str]) -> dict[tuple[str, ...], dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(lines)}


def count_architectures(
    names: Sequence[str], profile: Mapping[tuple[str, ...], Mapping[str, str]]
) -> Iterator[tuple[str, CountedArchitecture]]:
    """Yield what is known of each of `names`; prints those that can neither be built nor are published."""
    import open_clip

    for name in names:
        config = open_clip.get_model_config(name)
        published = profile.get((name,))
        counted = None if "hf_model_name" in config["text_cfg"] else try_to_count(name, config)
        if counted and published:
            warn_of_difference(name, counted, published)
        if counted:
            yield name, counted
        elif published:
            yield name, read_published(config, published)
        else:
            click.echo(f"{name}: neither built nor published, left out", err=True)


def try_to_count(name: str, config: Mapping[str, Any]) -> CountedArchitecture | None:
    try:
        return count_built(name, config)
    except Exception as error:  # of timm, for a tower that this version of it lacks
        click.echo(f"{name}: not built: {type(error).__name__}: {error}", err=True)
        return None


def count_built(name: str, config: Mapping[str, Any]) -> CountedArchitecture:
    import open_clip
    import torch

    with torch.device("meta"):
        model: Any = open_clip.create_model(name, None, device="meta", pretrained_text=False)
    model.eval().requires_grad_(False)
    side = read_side(model.visual.image_size)
    context = int(config["text_cfg"].get("context_length", 77))
    pixels = torch.empty(1, 3, side, side, device="meta")
    ids = torch.zeros(1, context, dtype=torch.long, device="meta")
    image_flop, dimension = count_operations(model.encode_image, pixels)
    text_flop, _ = count_operations(model.encode_text, ids)
    return CountedArchitecture(
        parameters=sum(each.numel() for each in model.parameters()),
        image_parameters=sum(each.numel() for each in model.visual.parameters()),
        image_gflop=round(image_flop / GIGA, DECIMALS),
        text_gflop=round(text_flop / GIGA, DECIMALS),
        resolution=side,
        dimension=dimension,
        context=context,
        tokenizer=config["text_cfg"].get("hf_tokenizer_name") or CLIP_BPE,
        counted_by="built",
        tower=read_tower(config["vision_cfg"]),
    )


def count_operations(encode: Any, batch: Any) -> tuple[int, int]:
    """Return the floating-point operations of `encode` on one item, and the dimension of its vector."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        rows = encode(batch)
    return counter.get_total_flops(), int(rows.shape[-1])


def read_side(size: Any) -> int:
    return int(size[0]) if isinstance(size, tuple | list) else int(size)


def read_tower(vision: Mapping[str, Any]) -> VisionTower | None:
    """Return the shape of a plain vision transformer; None for other towers."""
    if "patch_size" not in vision or not isinstance(vision.get("layers"), int):
        return None
    width = int(vision["width"])
    return VisionTower(
        patch=int(vision["patch_size"]),
        layers=int(vision["layers"]),
        width=width,
        mlp=int(width * float(vision.get("mlp_ratio", 4.0))),
        heads=width // int(vision.get("head_width", 64)),
    )


def read_published(config: Mapping[str, Any], row: Mapping[str, str]) -> CountedArchitecture:
    text = config["text_cfg"]
    return CountedArchitecture(
        parameters=round(float(row["mparams"]) * MEGA),
        image_parameters=round(float(row["image_mparams"]) * MEGA),
        image_gflop=float(row["image_gflops"]),
        text_gflop=None,
        resolution=int(row["image_size"]),
        dimension=int(row["embed_dim"]),
        context=int(text.get("context_length", 77)),
        tokenizer=text.get("hf_tokenizer_name") or CLIP_BPE,
        counted_by=f"open_clip docs/{PROFILE}",
        tower=read_tower(config["vision_cfg"]),
    )


def warn_of_difference(name: str, counted: CountedArchitecture, published: Mapping[str, str]) -> None:
    pairs = {
        "parameters": (counted.parameters / MEGA, float(published["mparams"])),
        "image GFLOP": (counted.image_gflop, float(published["image_gflops"])),
        "text GFLOP": (counted.text_gflop or 0, float(published["text_gflops"])),
    }
    for what, (ours, theirs) in pairs.items():
        if abs(ours - theirs) > 0.01 * theirs:
            click.echo(f"{name}: {what} {ours:.2f}, published {theirs:.2f}", err=True)


def count_emoji() -> CountedArchitecture:
    import open_clip

    config = json.loads((EMOJI / "open_clip_config.json").read_text())["model_cfg"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "emoji.json"
        file.write_text(json.dumps(config))
        open_clip.add_model_config(file)
    return count_built("emoji", config)


def describe(
    architecture: str, tag: str, results: Mapping[tuple[str, ...], Mapping[str, str]]
) -> dict[str, str | float | None]:
    import open_clip

    entry = open_clip.get_pretrained_cfg(architecture, tag)
    top1, source = find_top1(architecture, tag, bool(entry.get("quick_gelu")), results)
    licence, licence_source = find_licence(entry.get("hf_hub", ""))
    repository, _, file = entry.get("hf_hub", "").rpartition("/")
    return {
        "architecture": architecture,
        "tag": tag,
        "repository": repository,
        "file": file,
        "url_file": Path(entry.get("url", "")).name,
        "top1": top1,
        "top1_source": source,
        "licence": licence,
        "licence_source": licence_source,
    }


def find_top1(
    architecture: str, tag: str, quick: bool, results: Mapping[tuple[str, ...], Mapping[str, str]]
) -> tuple[float | None, str]:
    """Return the published accuracy of these weights, and its source; None, "" where there is none.

    Weights trained with QuickGELU are in open_clip's table under two names. Where they were measured under both, the
    row with the suffix is the one with the right activation, which this project uses under either name.
    """
    plain = architecture.removesuffix(QUICK)
    names = (f"{plain}{QUICK}", plain) if quick else (architecture,)
    for name in names:
        if row := results.get((name, tag)):
            return float(row[IMAGENET]), RESULTS_SOURCE
    top1 = README_TOP1.get((plain, tag))
    return (top1, README_SOURCE) if top1 else (None, "")


def find_licence(repository: str) -> tuple[str, str]:
    for pattern, licence, source in LICENCES:
        if re.search(pattern, repository):
            return licence, source
    return "", ""


def format_facts(facts: Mapping[str, Any]) -> str:
    """One line a model, so that a change shows as one."""
    head = [f' "{key}": {json.dumps(value)},' for key, value in facts.items() if isinstance(value, str)]
    architectures = [f'  "{name}": {json.dumps(value)}' for name, value in facts["architectures"].items()]
    models = [f"  {json.dumps(value)}" for value in facts["models"]]
    lines = [
        "{",
        *head,
        f' "emoji": {json.dumps(facts["emoji"])},',
        ' "architectures": {',
        ",\n".join(architectures),
        " },",
        ' "models": [',
        ",\n".join(models),
        " ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

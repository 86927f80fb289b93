"""Writes the tables of models in docs/models.md and README.md from clip_vectorizer/models/facts.json.

Each table is a section of its own (`page_sections`), so that other scripts may write theirs into the same pages.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import click

from benchmarks.page_sections import fill_sections
from clip_vectorizer.defaults import PRODUCTION_MODEL
from clip_vectorizer.models.facts import (
    ModelFacts,
    find_best_value,
    list_front,
    load_facts,
    read_architectures,
    read_facts,
)
from clip_vectorizer.models.listing import MEGA, format_count, format_top1
from clip_vectorizer.models.names import OPENAI_NAMES

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = (REPOSITORY / "docs" / "models.md", REPOSITORY / "README.md")

# The towers of the articles and of the papers, by the name that they have there.
TOWERS = {
    "S/16": "ViT-S-16",
    "B/32": "ViT-B-32",
    "B/16": "ViT-B-16",
    "L/16": "ViT-L-16",
    "L/14": "ViT-L-14",
    "H/16": "ViT-H-16",
    "H/14": "ViT-H-14",
    "g/14": "ViT-g-14",
    "bigG/14": "ViT-bigG-14",
}
README_MODELS = {
    "photographs, in production": PRODUCTION_MODEL,
    "many languages": "ViT-B-32-SigLIP2-256::webli",
    "accuracy before speed, many languages": "ViT-L-16-SigLIP2-256::webli",
    "as in OpenAI's paper: `ViT-B/32`": "ViT-B-32::openai",
}

Cells = Sequence[str]


@click.command()
def main() -> None:
    """Write the tables anew.

    \b
    Example:
      python benchmarks/models_page.py
    """
    tables = render_tables(read_facts())
    for page in PAGES:
        page.write_text(fill_sections(page.read_text(encoding="utf-8"), tables), encoding="utf-8")
        click.echo(str(page.relative_to(REPOSITORY)))


def render_tables(models: Sequence[ModelFacts]) -> dict[str, str]:
    named = {model.name: model for model in models}
    return {
        "readme-models": render_readme(named),
        "front": render_front(models),
        "openai": render_openai(named),
        "towers": render_towers(),
        "origin": render_origin(),
        "models": render_models(models),
    }


def render_readme(named: Mapping[str, ModelFacts]) -> str:
    rows = [[use, f"`{name}`", *size_cells(named[name])] for use, name in README_MODELS.items()]
    return format_table(["for", "`--model`", "M", "GFLOP", "top-1", "licence"], rows)


def render_front(models: Sequence[ModelFacts]) -> str:
    """The best free models by cost, each with the accuracy that a GFLOP more buys against the row above."""
    best, front = find_best_value(models), list_front(models)
    gains = ["", *(f"{model.gain_over(before):.3f}" for before, model in pairwise(front))]
    rows = [
        [
            f"**`{model.facts.name}`**" if model.facts == best else f"`{model.facts.name}`",
            *size_cells(model.facts),
            gain,
        ]
        for model, gain in zip(front, gains, strict=True)
    ]
    return format_table(["model", "M", "GFLOP", "top-1", "licence", "points for a further GFLOP"], rows)


def render_openai(named: Mapping[str, ModelFacts]) -> str:
    rows = []
    for spelling, name in OPENAI_NAMES.items():
        model = named[name]
        shape = [str(model.resolution), str(model.dimension)]
        rows.append([f"`{spelling}`", f"`{name}`", *size_cells(model)[:3], *shape])
    return format_table(["OpenAI's name", "open_clip's name", "M", "GFLOP", "top-1", "px", "dimension"], rows)


def render_towers() -> str:
    architectures = {model.architecture: model for model in read_architectures()}
    rows = []
    for short, name in TOWERS.items():
        model = architectures[name]
        tower = model.tower
        assert tower is not None, name
        tokens = (model.resolution // tower.patch) ** 2 + 1
        shape = [tower.patch, tower.layers, tower.width, tower.mlp, tower.heads, tokens]
        sizes = [f"{(model.image_parameters or 0) / MEGA:.1f}", f"{model.parameters / MEGA:.1f}"]
        rows.append([short, f"`{name}`", *(str(each) for each in shape), *sizes])
    return format_table(
        ["ViT", "architecture", "patch", "layers", "width", "MLP", "heads", "tokens", "M, image tower", "M, both"], rows
    )


def render_origin() -> str:
    facts = load_facts()
    versions = f"open_clip {facts['open_clip']}, torch {facts['torch'].partition('+')[0]}"
    return f"Counted and collected on {facts['date']} with {versions}: `{facts['command']}`.\n"


def render_models(models: Sequence[ModelFacts]) -> str:
    rows = []
    for model in models:
        shape = [str(model.resolution), str(model.dimension), str(model.context), model.tokenizer]
        million, gflop, top1, licence = size_cells(model)
        source = model.top1_source.removeprefix("open_clip ").removeprefix("docs/")
        rows.append([f"`{model.name}`", million, gflop, *shape, top1, source, licence])
    head = ["model", "M", "GFLOP", "px", "dimension", "context", "tokenizer", "top-1", "source", "licence"]
    return format_table(head, rows)


def size_cells(model: ModelFacts) -> list[str]:
    """Millions of parameters, GFLOP, accuracy in per cent, licence."""
    return [format_count(model.parameters / MEGA), format_count(model.gflop), format_top1(model.top1), model.licence]


def format_table(head: Cells, rows: Sequence[Cells]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()

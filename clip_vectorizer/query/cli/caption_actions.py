"""What `clip-caption` does: read the options, write captions, print them."""

import sys
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any

import click

from clip_vectorizer.counts import format_count
from clip_vectorizer.exit_codes import SOME_FAILED
from clip_vectorizer.progress import count_items
from clip_vectorizer.query.captions.choose import CaptionArguments
from clip_vectorizer.query.captions.writing import Caption, CaptionCounts
from clip_vectorizer.query.choices import CAPTION_LABELS, CAPTION_REGIONS
from clip_vectorizer.query.cli.connection import open_search
from clip_vectorizer.query.cli.image_results import ResultCounts, ResultFormat, print_results
from clip_vectorizer.query.cli.label_names import parse_all_labels
from clip_vectorizer.query.display.tables import prepare_streams

COLUMN_NAMES = ("path", "caption")


def run(values: Mapping[str, Any]) -> None:
    """`values`: the command's parameters. Exits with 3 if some images got no caption."""
    prepare_streams()
    arguments = build_arguments(values)
    with open_search(values) as search:
        captions = search.write_captions(values["by"], **arguments)
        failed = show_captions(count_items(captions, streaming=values["as_json"]), values["as_json"], captions.counts)
    sys.exit(SOME_FAILED if failed else 0)


def build_arguments(values: Mapping[str, Any]) -> CaptionArguments:
    """Raises click.UsageError without labels where they are needed, InputError for labels that cannot be used."""
    labels = parse_all_labels(values["labels"])
    if values["by"] in (CAPTION_LABELS, CAPTION_REGIONS) and not labels and not values["label_set"]:
        raise click.UsageError(f"--by {values['by']} needs labels; add --labels A,B,... or --label-set NAME")
    return CaptionArguments(
        labels=labels,
        label_set=values["label_set"],
        prompts=values["prompts"],
        top=values["top"],
        least=values["least"],
        batch=values["batch"],
        filters=values["where"] or None,
        limit=values["limit"],
        redo=values["redo"],
    )


def show_captions(captions: Generator[Caption], as_json: bool, left_out: CaptionCounts) -> int:
    """Print all captions, see print_results, then the counts, also when the run ends early.

    Returns how many images got none.
    """
    counts = ResultCounts()
    try:
        print_results(captions, ResultFormat(COLUMN_NAMES, format_cells, to_json), as_json, counts)
    finally:
        click.echo(format_counts(counts.good, counts.failed, left_out), err=True)
    return counts.failed


def format_counts(written: int, failed: int, counts: CaptionCounts) -> str:
    """
    >>> format_counts(3, 0, CaptionCounts(given=2, done=5))
    '3 captions written; 2 images have their own; 5 were captioned before'
    >>> format_counts(1, 1, CaptionCounts(given=1, done=1))
    '1 caption written; 1 image got none; 1 image has its own; 1 was captioned before'
    """
    own, before = ("has its own" if counts.given == 1 else "have their own"), ("was" if counts.done == 1 else "were")
    others = (
        (failed, f"{format_count(failed, 'image')} got none"),
        (counts.given, f"{format_count(counts.given, 'image')} {own}"),
        (counts.done, f"{counts.done} {before} captioned before"),
    )
    return "; ".join([f"{format_count(written, 'caption')} written", *(text for count, text in others if count)])


def format_cells(caption: Caption) -> tuple[str, ...]:
    return caption.path, caption.caption


def to_json(caption: Caption) -> dict[str, object]:
    """Every line has the same keys; a failed image has a null caption, and `error`."""
    values = asdict(caption)
    error = values.pop("error")
    return {**values, "caption": None, "error": error} if error else values

"""A collection as the source of a training: its images, captions and labels."""

from dataclasses import replace
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.images.opener import read_size
from clip_vectorizer.training.contrastive_plan import ContrastivePlan
from clip_vectorizer.training.labelled_images import read_labelled_images
from clip_vectorizer.training.probe_plan import ProbePlan
from clip_vectorizer.training.training_sources import open_source
from tests.stack.conftest import Run
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

FRUIT = sorted((EXAMPLES / "fruit").glob("*.png"))


def plan_of(stack: Stack, collection: str, output: Path) -> ContrastivePlan:
    return ContrastivePlan(
        Path(f"weaviate:{collection}"),
        output,
        "emoji",
        weaviate_url=stack.weaviate_url,
        weaviate_grpc_port=stack.grpc_port,
        weaviate_api_key=stack.api_key,
    )


def test_the_files_of_a_collection_are_learned_from_with_their_captions(
    stack: Stack, run: Run, collection: str, tmp_path: Path
) -> None:
    run("clip-ingest", EXAMPLES / "fruit", "--collection", collection, "--keep", "full")
    plan = plan_of(stack, collection, tmp_path / "out")
    listing = open_source(plan)
    assert [(image.captions, image.read()) for image in listing.images] == [
        ((file.with_suffix(".txt").read_text("utf-8").strip(),), file.read_bytes()) for file in FRUIT
    ]
    with pytest.raises(InputError, match="has no tenants; remove --tenant"):
        open_source(replace(plan, tenant="one"))
    with pytest.raises(
        InputError, match=r"has no text property 'nothing'; name one of .*caption.* with --caption-column"
    ):
        open_source(replace(plan, caption_column="nothing"))
    named = open_source(replace(plan, caption_column="filename"))
    assert [image.captions for image in named.images] == [(file.name,) for file in FRUIT]


def test_thumbnails_are_learned_from_where_no_files_are_stored(stack: Stack, examples: str, tmp_path: Path) -> None:
    listing = open_source(plan_of(stack, examples, tmp_path / "out"))
    assert len(listing.images) == len(list(EXAMPLES.glob("*/*.png")))
    assert max(read_size(listing.images[0].read())) <= 256


def test_labels_of_a_collection_are_those_of_a_probe(stack: Stack, examples: str, tmp_path: Path) -> None:
    source = Path(f"weaviate:{examples}")
    plan = ProbePlan(
        source, tmp_path / "o.npz", "emoji", weaviate_url=stack.weaviate_url, weaviate_grpc_port=stack.grpc_port,
        weaviate_api_key=stack.api_key,
    )  # fmt: skip
    labels = {image.captions[0] for image in read_labelled_images(plan, source)}
    assert labels == {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()}


def test_a_collection_that_is_not_there_is_named(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises((InputError, Mismatch), match="no collection Nothing"):
        open_source(plan_of(stack, "Nothing", tmp_path / "out"))

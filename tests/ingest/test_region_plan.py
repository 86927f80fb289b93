"""The options of regions as a job: limits, fields, and boxes of images that are not there."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from clip_vectorizer.errors import InputError
from ingest.choices import MAX_REGIONS, REGION_LIMIT
from ingest.cli import main
from ingest.region_methods import RegionRecipe, parse_method
from ingest.region_plan import find_box_field, parse_regions, report_unused_boxes
from ingest.regions import RegionMaker
from ingest.report import IngestReport
from ingest.store.base import NoRegionStore
from tests.ingest.fakes import MODEL


def limit(text: str, number: int | None = None) -> int:
    method = parse_regions({"regions": text, "region_limit": number})
    assert method is not None
    return method.limit


def test_the_limit_is_that_of_the_method_unless_it_is_named() -> None:
    assert limit("objects") == REGION_LIMIT and limit("boxes") == MAX_REGIONS
    assert limit("objects", 3) == limit("boxes", 3) == 3
    assert parse_regions({"regions": None, "region_limit": None}) is None


@pytest.mark.parametrize("text", ["grid", "none"])
def test_a_limit_where_nothing_is_chosen_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"--regions {text} has no regions to choose from"):
        limit(text, 3)


def test_only_boxes_of_a_field_are_read_from_annotations() -> None:
    assert [find_box_field(text) for text in (None, "grid", "boxes=x.json", "boxes", "boxes=things")] == [
        *(None, None, None, "boxes", "things")
    ]


def warn(tmp_path: Path) -> tuple[IngestReport, list[str]]:
    file = tmp_path / "boxes.json"
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    annotations = [{"image_id": image, "bbox": [0, 0, 1, 1]} for image in (1, 1, 2)]
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    recipe = RegionRecipe.build(parse_method(f"boxes={file}", 10), MODEL, "one")
    recipe.find_boxes("b.png")
    report, sentences = IngestReport(), list[str]()
    maker = RegionMaker(recipe, NoRegionStore(), None)
    report_unused_boxes(maker, ["/photos"], report, lambda _, event: sentences.append(str(event)))
    return report, sentences


def test_boxes_of_images_that_are_not_in_the_source_are_counted_and_named(tmp_path: Path) -> None:
    report, [sentence] = warn(tmp_path)
    assert report.unused_boxes == report.as_json()["unused_boxes"] == 2
    assert sentence.endswith("has 2 boxes of 1 image not in /photos, for example a.png; not used")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--region-limit", "3"], "--regions"),
        (["--regions", "grid", "--ray", "local"], "Ray cannot distribute it"),
        (["--regions", "grid", "--reindex"], "--reindex"),
        (["--regions", "objects", "--region-limit", "101"], "100"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: list[str], reason: str) -> None:
    done = CliRunner().invoke(main, [".", *words])
    assert done.exit_code == 2 and reason in done.stderr

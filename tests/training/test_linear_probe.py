"""`clip-vectorizer train linear-probe` on pictures of one colour each, with the bundled model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.query.adapt.probe_file import TrainedProbe
from clip_vectorizer.training.labelled_images import read_labelled_images
from clip_vectorizer.training.linear_probe import LabelledFeatures, hold_out, train_linear_probe
from clip_vectorizer.training.probe_plan import ProbePlan
from tests.training.test_contrastive_run import RecordedProgress

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
IMAGES = 10  # of each colour


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(IMAGES):
            pixels = np.clip(np.array(colour) + random.integers(-20, 20, (48, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "top.png").write_bytes((folder / "red" / "0.png").read_bytes())  # of no label
    return folder


@pytest.fixture
def plan(pictures: Path, tmp_path: Path) -> ProbePlan:
    return ProbePlan(pictures, tmp_path / "probe.npz", "emoji")


def test_colours_are_told_apart_by_a_probe_in_a_file(plan: ProbePlan, pictures: Path) -> None:
    (pictures / "red" / "broken.png").write_bytes(b"no image")
    progress = RecordedProgress()
    trained = train_linear_probe(plan, progress)
    assert [note.partition(":")[0] for note in progress.notes] == ["red/broken.png is skipped"]
    assert (trained.accuracy.images, trained.accuracy.right) == (6, 6) and trained.accuracy.low < 1
    assert trained.labels == ("blue", "green", "red")
    loaded, encoder = TrainedProbe.load(plan.output), load_encoder(ModelName("emoji"), Placement())
    loaded.check_model(encoder.info)
    views = [encoder.prepare_image(Image.open(pictures / name / "1.png")) for name in COLOURS]
    found = loaded.probe.logits(encoder.encode_images(views)).argmax(axis=1)
    assert [loaded.labels[at] for at in found] == list(COLOURS)
    with pytest.raises(InputError, match="exists; name another --output"):
        train_linear_probe(plan)


def test_a_table_and_a_folder_have_the_same_labels(plan: ProbePlan, pictures: Path, tmp_path: Path) -> None:
    files = [file for file in sorted(pictures.glob("*/*.png")) if file.stem != "broken"]
    table = tmp_path / "rows.jsonl"
    table.write_text("\n".join(json.dumps({"path": str(file), "class": file.parent.name}) for file in files))
    of_table = list(read_labelled_images(plan, table))
    assert [image.captions for image in of_table] == [(file.parent.name,) for file in files]
    assert [image.content for image in of_table] == files
    of_folder = [image for image in read_labelled_images(plan, pictures) if "broken" not in image.key]
    assert [(image.captions, image.content) for image in of_folder] == [
        (image.captions, image.content) for image in of_table
    ]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("path,label\na.png,x\na.png,y\n", "a.png has the labels x, y; a probe takes one"),
        ("path,kind\na.png,x\n", "name one with --label-column"),
    ],
)
def test_a_table_that_gives_no_single_label_is_refused(
    plan: ProbePlan, tmp_path: Path, rows: str, sentence: str
) -> None:
    (tmp_path / "rows.csv").write_text(rows)
    with pytest.raises(InputError, match=sentence):
        list(read_labelled_images(plan, tmp_path / "rows.csv"))


def test_one_label_alone_is_refused(plan: ProbePlan, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "only").symlink_to(pictures / "blue")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "blue").mkdir()
    (tmp_path / "one" / "blue" / "0.png").write_bytes((pictures / "blue" / "0.png").read_bytes())
    with pytest.raises(InputError, match="all images have the label 'blue'"):
        train_linear_probe(replace(plan, source=tmp_path / "one"))


def test_each_label_keeps_an_image_to_learn_from() -> None:
    labels = ("a",) * 10 + ("b",) * 3 + ("c",)
    features = LabelledFeatures(np.arange(14, dtype=np.float32)[:, None], labels)
    rest, held = hold_out(features, 0.2, seed=3)
    assert [held.labels_n.count(each) for each in "abc"] == [2, 1, 0]
    assert sorted([*rest.vectors_nd.ravel(), *held.vectors_nd.ravel()]) == list(range(14))
    assert hold_out(features, 0.9, seed=3)[0].labels_n == ("a", "b", "c")


def test_the_name_of_the_output_is_that_of_a_probe(plan: ProbePlan, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.npz"):
        train_linear_probe(replace(plan, output=tmp_path / "probe.json"))

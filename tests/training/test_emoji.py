"""A whole training in miniature."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.training import towers
from clip_vectorizer.training.art_sets import TRAINING_SETS
from clip_vectorizer.training.emoji import TrainingPlan, learn_language, list_texts, replace_targets, train_emoji
from clip_vectorizer.training.evaluation import RecallRow, compute_recall, format_markdown
from clip_vectorizer.training.image_tower import ImageStage, plan_second_part
from clip_vectorizer.training.sentence_vectors import SentenceVectors
from clip_vectorizer.training.text_corpus import CorpusSizes
from clip_vectorizer.training.text_tower import TextStage, plan_naming_part
from clip_vectorizer.training.tokenizer import encode_token_ids
from tests.models.small import CPU
from tests.training.art import PARTIAL_SET, write_packages
from tests.training.word_vectors import compute_word_vectors

CORPUS = CorpusSizes(glosses=9, words=9, verbs=2, chinese=20, phrases_en=20, phrases_zh=20, frequent=20)


def train(plan: TrainingPlan) -> None:
    train_emoji(plan, SentenceVectors(plan.work / "e5.npz", compute_word_vectors))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrainingPlan:
    """A training that ran to its end."""
    work = tmp_path_factory.mktemp("training")
    write_packages(work / "packages")
    image = ImageStage(steps=2, warmup=1, batch=8, sizes=(32, 32), checkpoint_steps=1)
    restyled = replace(plan_second_part(steps=2), warmup=1, batch=8, sizes=(32, 32), checkpoint_steps=1)
    text = TextStage(steps=2, warmup=1, general=8, owned=8)
    naming = replace(plan_naming_part(steps=2), warmup=1, general=8, owned=8, checkpoint_steps=1)
    plan = TrainingPlan(work, work / "emoji", image, restyled, text, naming, corpus=CORPUS)
    train(plan)
    return plan


def test_open_clip_loads_what_training_saves(plan: TrainingPlan) -> None:
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{plan.output}")
    vectors = model.eval().encode_image(torch.zeros(1, 3, towers.IMAGE_SIZE, towers.IMAGE_SIZE), normalize=True)
    assert vectors.shape == (1, towers.EMBEDDING)
    assert model.logit_scale.exp().item() == pytest.approx(plan.image.scale, rel=1e-2)  # stored as a half


def test_the_sidecar_gives_the_vectors_open_clip_gives(plan: TrainingPlan) -> None:
    ours = load_encoder(ModelName(f"local-dir:{plan.output}"), CPU)
    theirs = open_clip.create_model(f"local-dir:{plan.output}").eval()
    texts = ["red", "a drawing of a golden triangle", "蓝色方块"]
    ids = open_clip.get_tokenizer(f"local-dir:{plan.output}")(texts)
    with torch.no_grad():
        expected = theirs.encode_text(ids, normalize=True)
    rows = ours.encode_texts([ours.prepare_text(text) for text in texts])
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-5)


def test_open_clip_reads_texts_as_the_training_does(plan: TrainingPlan) -> None:
    texts = ["red circle", "一张蓝色方块的图片"]
    theirs = open_clip.get_tokenizer(f"local-dir:{plan.output}")(texts)
    ours = encode_token_ids(Tokenizer.from_file(str(plan.work / "tokenizer.json")), texts)
    assert theirs[:, : ours.shape[1]].tolist() == ours.tolist()
    assert theirs[:, ours.shape[1] :].sum() == 0


def test_texts_of_mixed_length_get_the_vectors_open_clip_gives(plan: TrainingPlan) -> None:
    model = open_clip.create_model(f"local-dir:{plan.output}").eval()
    ids = open_clip.get_tokenizer(f"local-dir:{plan.output}")(["red", "a drawing of a golden triangle", "蓝色方块"])
    longest = int((ids != 0).sum(1).max())
    with torch.no_grad():
        expected = model.encode_text(ids, normalize=True)
        torch.testing.assert_close(towers.embed_token_ids(model, ids[:, :longest]), expected)


def test_the_model_is_measured_on_the_held_out_art(plan: TrainingPlan) -> None:
    rows = (plan.output / "recall.md").read_text().splitlines()
    assert sum(row.startswith(("| text->image", "| image->text")) for row in rows) == 8


def test_the_shipped_weights_are_halves_and_small(plan: TrainingPlan) -> None:
    assert (plan.output / "open_clip_model.safetensors").stat().st_size < 24_000_000


def test_the_phrases_of_the_evaluation_are_no_lesson(plan: TrainingPlan) -> None:
    packages, sentences = plan.work / "packages", SentenceVectors(plan.work / "e5.npz", compute_word_vectors)
    language = learn_language(plan.work, packages, sentences)
    assert "something to drink" in language.known.texts  # the miniature writes it about every concept
    assert {"red circle", "a curve around one centre"} < set(list_texts(packages, CORPUS, language))
    assert "something to drink" not in list_texts(packages, CORPUS, language)


def test_finished_towers_are_not_trained_again(plan: TrainingPlan) -> None:
    names = ("space", "image", "image-restyled", "text", "text-naming")
    files = [plan.work / "e5.npz", *(plan.work / f"{name}.safetensors" for name in names)]
    before = [file.stat().st_mtime_ns for file in files]
    train(plan)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_an_image_tower_without_an_art_set_is_another_one(plan: TrainingPlan) -> None:
    less = replace(plan, without=("noto", PARTIAL_SET), output=plan.work / "less")
    train(less)
    names = {file.stem for file in plan.work.glob("image-without*.safetensors")}
    less_art = "image-without-noto-without-streamline-emojis"
    assert names == {less_art, f"{less_art}-restyled"}
    weights = [(folder / "open_clip_model.safetensors").read_bytes() for folder in (plan.output, less.output)]
    assert weights[0] != weights[1]


def test_the_second_part_of_the_image_tower_starts_from_the_first_one(plan: TrainingPlan) -> None:
    first, second = (load_file(plan.work / f"{name}.safetensors") for name in ("image", "image-restyled"))
    apart = max((first[name] - second[name]).abs().max().item() for name in first if name.endswith("weight"))
    assert 0 < apart < 0.02  # two steps at a learning rate of up to 1.5e-3
    assert_ships(plan.output, second)


def assert_ships(folder: Path, tower: dict[str, Tensor]) -> None:
    shipped = load_file(folder / "open_clip_model.safetensors")
    weights = {name: value for name, value in tower.items() if value.is_floating_point()}
    assert len(weights) > 50
    assert all(shipped[f"visual.{name}"].equal(value.half()) for name, value in weights.items())


def test_without_steps_there_is_no_second_part(plan: TrainingPlan, tmp_path: Path) -> None:
    work = link_folder(plan.work, tmp_path / "work", without="image-restyled*")
    train(replace(plan, work=work, output=tmp_path / "first", restyled=replace(plan.restyled, steps=0)))
    assert not list(work.glob("image-restyled*"))
    assert_ships(tmp_path / "first", load_file(work / "image.safetensors"))


def test_names_are_taught_after_the_other_texts(plan: TrainingPlan, tmp_path: Path) -> None:
    first, second = (load_file(plan.work / f"{name}.safetensors") for name in ("text", "text-naming"))
    assert any(not first[name].equal(second[name]) for name in first)
    work = link_folder(plan.work, tmp_path / "work", without="text-naming*")
    train(replace(plan, work=work, output=tmp_path / "first", naming=replace(plan.naming, steps=0)))
    assert not list(work.glob("text-naming*"))
    shipped = load_file(tmp_path / "first" / "open_clip_model.safetensors")
    assert all(shipped[name].equal(value.half()) for name, value in first.items())


def test_names_aim_at_prototypes_and_other_texts_at_their_vectors(plan: TrainingPlan) -> None:
    sentences = SentenceVectors(plan.work / "e5.npz", compute_word_vectors)
    language = learn_language(plan.work, plan.work / "packages", sentences)
    texts = ["a curve around one centre", language.concepts[1].name_en, language.concepts[1].name_zh]
    targets = language.space.project(torch.from_numpy(sentences.embed(texts)))
    replaced = replace_targets(targets, texts, language)
    assert replaced[0].equal(targets[0])
    assert replaced[1].equal(language.prototypes_nd[1]) and replaced[2].equal(language.prototypes_nd[1])


def test_an_interrupted_second_part_continues(plan: TrainingPlan, tmp_path: Path) -> None:
    work = link_folder(plan.work, tmp_path / "work", without="image-restyled.safetensors")
    train(replace(plan, work=work, output=tmp_path / "again"))  # its checkpoint is of the last step: no step is left
    first, again = (folder / "image-restyled.safetensors" for folder in (plan.work, work))
    assert first.read_bytes() == again.read_bytes()


def link_folder(folder: Path, target: Path, without: str) -> Path:
    """Return a folder with links to all that is in another, except for what the pattern `without` names."""
    target.mkdir()
    for file in set(folder.iterdir()) - set(folder.glob(without)):
        (target / file.name).symlink_to(file)
    return target


def test_only_the_art_of_the_training_is_restyled(plan: TrainingPlan) -> None:
    drawn = {file.name.split("-restyled")[0] for file in plan.work.glob("drawings-*restyled-*.npy")}
    assert drawn == {f"drawings-{name}" for name in TRAINING_SETS}  # the held-out art is measured as it was drawn


def test_a_training_without_drawings_of_every_concept_is_refused(plan: TrainingPlan) -> None:
    nothing = replace(plan, without=tuple(name for name in TRAINING_SETS if name != PARTIAL_SET))
    with pytest.raises(TrainingDataError, match=f"8 of 12 concepts have no drawing in {PARTIAL_SET}"):
        train(nothing)


def test_other_steps_than_those_of_the_finished_tower_are_refused(plan: TrainingPlan) -> None:
    with pytest.raises(TrainingDataError, match=r"image.safetensors was trained for 2 steps, not 3"):
        train(replace(plan, image=replace(plan.image, steps=3)))


def test_recall_counts_ties_against_the_model() -> None:
    assert compute_recall(np.eye(20, dtype=np.float32)) == (1.0, 1.0, 1.0)
    assert compute_recall(np.ones((20, 20), dtype=np.float32)) == (0.0, 0.0, 0.0)
    assert compute_recall(np.triu(np.ones((4, 4), dtype=np.float32))) == (0.25, 1.0, 1.0)


def test_the_table_names_every_depth() -> None:
    table = format_markdown([RecallRow("text->image", "en", "name", (0.1, 0.5, 1.0))])
    assert table.splitlines()[0].endswith("recall@1 | recall@5 | recall@10 |")
    assert table.splitlines()[-1] == "| text->image | en | name | 0.100 | 0.500 | 1.000 |"

"""A linear probe in a file, and its use in a classification."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.adapt.boosts import trained_probe
from clip_vectorizer.query.adapt.linear_probe import LinearProbe, choose_strength
from clip_vectorizer.query.adapt.probe_file import ProbeAccuracy, TrainedProbe
from clip_vectorizer.vectors import Vectors
from tests.query.adapt.test_few_shot import clusters

MODEL = StoredModel("emoji", "1234", 8, "shortest-48")
ACCURACY = ProbeAccuracy(3, 4, 0.3, 0.95, 0.25)
LABELS = ("cat", "dog", "猫", "owl")
TEXTS: Vectors = np.eye(4, 8, dtype=np.float32)


@pytest.fixture
def trained() -> TrainedProbe:
    shots, classes = clusters(8)
    return TrainedProbe(LinearProbe.fit_with(shots, classes, 10.0), LABELS, MODEL, ACCURACY)


def test_a_probe_is_the_same_after_saving_and_loading(trained: TrainedProbe, tmp_path: Path) -> None:
    trained.save(tmp_path / "probe.npz")
    loaded = TrainedProbe.load(tmp_path / "probe.npz")
    assert (loaded.labels, loaded.model, loaded.accuracy) == (LABELS, MODEL, ACCURACY)
    images, _ = clusters(3)
    np.testing.assert_array_equal(loaded.probe.logits(images), trained.probe.logits(images))
    assert str(loaded) == (
        "4 labels, accuracy 0.750 [0.300, 0.950] on 4 images held out (always the most frequent label: 0.250), C 10"
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_log_probabilities_are_those_of_scikit_learn(classes: int) -> None:
    shots, truth = clusters(8)
    shots, truth = shots[truth < classes], truth[truth < classes]
    probe = LinearProbe.fit_with(shots, truth, 3.0)
    model = LogisticRegression(C=3.0, tol=1e-3, max_iter=2000).fit(shots.astype(np.float64), truth)
    images, _ = clusters(5)
    expected = model.predict_log_proba(images.astype(np.float64))
    np.testing.assert_allclose(probe.logits(images), expected, atol=1e-4)


def test_the_strength_is_that_of_the_best_validation() -> None:
    shots, truth = clusters(8)
    images, expected = clusters(5)
    strength = choose_strength(shots, truth, images, expected)
    assert 1e-6 <= strength <= 1e6
    right = [
        (LinearProbe.fit_with(shots, truth, each).logits(images).argmax(axis=1) == expected).mean()
        for each in (strength, 1e-6, 1.0)
    ]
    assert right[0] == max(right)


def test_noise_is_regularized_more_than_what_is_clear() -> None:
    random = np.random.default_rng(1)
    truth = np.arange(60) % 2
    noise = random.standard_normal((60, 20)).astype(np.float32)
    clear = noise + 3 * np.eye(2, 20, dtype=np.float32)[truth]
    held = np.arange(60) >= 40
    strengths = [choose_strength(each[~held], truth[~held], each[held], truth[held]) for each in (noise, clear)]
    assert strengths[0] < strengths[1]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK"])
def test_another_file_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npz is no file of `clip-vectorizer train linear-probe`"):
        TrainedProbe.load(tmp_path / "x.npz")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; `clip-vectorizer train linear-probe` writes one"):
        TrainedProbe.load(tmp_path / "x.npz")


def test_a_probe_fits_one_model_and_its_own_labels(trained: TrainedProbe) -> None:
    trained.check_model(StoredModel("another name", "1234", 8, "shortest-48"))
    with pytest.raises(Mismatch, match="fitted on vectors of the model emoji"):
        trained.check_model(StoredModel("emoji", "5678", 8, "shortest-48"))
    images, truth = clusters(3)
    scorer = trained_probe(trained).scorer(LABELS, TEXTS, 100.0, None)
    assert (scorer.logits(images, [""] * len(images)).argmax(axis=1) == truth).mean() > 0.8
    with pytest.raises(InputError, match="classify by these: cat, dog, 猫, owl"):
        trained_probe(trained).scorer(("cat", "dog"), TEXTS, 100.0, None)

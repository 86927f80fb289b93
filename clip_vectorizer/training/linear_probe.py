"""Fits a linear probe on the features of a model that does not change (Radford et al. 2021, section 3.2 and A.3).

A part of each label's images is held out for the test, and a part of the rest to choose the regularization; with that
one the probe is fitted on all but the test.

N images · D dimensions · L labels
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import ImageRefused, InputError
from clip_vectorizer.images.settings import USUAL_DECODING
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.query.adapt.few_shot import ClassIndices
from clip_vectorizer.query.adapt.linear_probe import LinearProbe, choose_strength
from clip_vectorizer.query.adapt.probe_file import ProbeAccuracy, TrainedProbe
from clip_vectorizer.query.adapt.regression import import_regression
from clip_vectorizer.query.evaluation.statistics import Share
from clip_vectorizer.server.decode import decode_pixels
from clip_vectorizer.training.image_copies import SourceImage
from clip_vectorizer.training.labelled_images import LABELLED_SOURCES, read_labelled_images
from clip_vectorizer.training.pair_loader import count_threads
from clip_vectorizer.training.probe_plan import ProbePlan
from clip_vectorizer.vectors import Pixels, Vectors

VALIDATION_SHARE = 0.2  # of the images that are not for the test
BATCH = 64


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    vectors_nd: Vectors
    labels_n: tuple[str, ...]

    def select(self, chosen: Sequence[int]) -> "LabelledFeatures":
        return LabelledFeatures(self.vectors_nd[list(chosen)], tuple(self.labels_n[at] for at in chosen))

    def number(self, labels: Sequence[str]) -> ClassIndices:
        """Return (N,) indices in `labels`."""
        numbers = {label: number for number, label in enumerate(labels)}
        return np.array([numbers[label] for label in self.labels_n], dtype=np.intp)


def train_linear_probe(plan: ProbePlan, progress: StepProgress = SILENT) -> TrainedProbe:
    """Fit, test and save a probe. Raises InputError, ModelUnavailable, SettingsError, WeaviateUnreachable, OSError."""
    plan.check_output()
    import_regression()  # fails before anything is read
    progress.step(f"loading {plan.model}")
    encoder = load_encoder(ModelName(plan.model, plan.architecture), Placement(plan.device, plan.precision))
    learned, test = read_features(plan, encoder, progress)
    labels = tuple(sorted(set(learned.labels_n)))
    check_features(plan, learned, test, labels)
    progress.step("fitting")
    strength = find_strength(learned, labels, plan.seed)
    probe = LinearProbe.fit_with(learned.vectors_nd, learned.number(labels), strength)
    trained = TrainedProbe(probe, labels, StoredModel.of(encoder.info), measure_accuracy(probe, test, labels))
    trained.save(plan.output)
    return trained


def read_features(
    plan: ProbePlan, encoder: Encoder, progress: StepProgress
) -> tuple[LabelledFeatures, LabelledFeatures]:
    """Return the features to learn from and those of the test."""
    progress.step(f"embedding the images of {plan.source}")
    features = embed_labelled_images(encoder, read_labelled_images(plan, plan.source), progress)
    if plan.test:
        progress.step(f"embedding the images of {plan.test}")
        return features, embed_labelled_images(encoder, read_labelled_images(plan, plan.test), progress)
    return hold_out(features, plan.test_share, plan.seed)


def embed_labelled_images(encoder: Encoder, images: Iterable[SourceImage], progress: StepProgress) -> LabelledFeatures:
    """Embed as the sidecar does. An image that cannot be read is named and skipped."""
    labels: list[str] = []
    parts: list[Vectors] = []
    for pixels, found in prepare_batches(encoder, images, progress):
        parts.append(encoder.encode_images(pixels))
        labels += found
        progress.detail(f"{len(labels):,} images")
    none = np.zeros((0, encoder.info.dimension), dtype=np.float32)
    return LabelledFeatures(np.concatenate([none, *parts]), tuple(labels))


def prepare_batches(
    encoder: Encoder, images: Iterable[SourceImage], progress: StepProgress
) -> Iterator[tuple[list[Pixels], list[str]]]:
    with ThreadPoolExecutor(count_threads(), "decode") as pool:
        remaining = iter(images)
        while batch := list(islice(remaining, BATCH)):
            prepared = list(pool.map(lambda image: prepare_source_image(encoder, image), batch))
            good = [(view, image) for view, image in zip(prepared, batch, strict=True) if not isinstance(view, str)]
            for view, image in zip(prepared, batch, strict=True):
                if isinstance(view, str):
                    progress.note(f"{image.key} is skipped: {view}")
            if good:
                yield [view for view, _ in good], [image.captions[0] for _, image in good]


def prepare_source_image(encoder: Encoder, image: SourceImage) -> Pixels | str:
    """Return (S, S, 3) uint8, or why the image cannot be read."""
    try:
        data = image.content if isinstance(image.content, bytes) else image.content.read_bytes()
        return decode_pixels(encoder, data, USUAL_DECODING)
    except (ImageRefused, OSError) as error:
        return str(error)


def hold_out(features: LabelledFeatures, share: float, seed: int) -> tuple[LabelledFeatures, LabelledFeatures]:
    """Return two parts; the second has about `share` of each label's images, and the first at least one of each."""
    random = np.random.default_rng(seed)
    held: list[int] = []
    for label in sorted(set(features.labels_n)):
        own = [at for at, each in enumerate(features.labels_n) if each == label]
        count = min(round(share * len(own)), len(own) - 1)
        held += random.permutation(own)[:count].tolist()
    rest = sorted(set(range(len(features.labels_n))) - set(held))
    return features.select(rest), features.select(sorted(held))


def check_features(plan: ProbePlan, learned: LabelledFeatures, test: LabelledFeatures, labels: Sequence[str]) -> None:
    """Raises InputError where there is too little to learn or to test."""
    if len(labels) < 2:
        found = f"all images have the label {labels[0]!r}" if labels else "no image with a label"
        raise InputError(f"{plan.source}: {found}; {LABELLED_SOURCES}, with at least two labels")
    if not test.labels_n:
        raise InputError(f"{plan.test or plan.source}: too few images to test with; add images, or raise --test-share")
    if unknown := sorted(set(test.labels_n) - set(labels)):
        raise InputError(f"{plan.test} has labels that {plan.source} has not: {', '.join(unknown[:10])}")


def find_strength(learned: LabelledFeatures, labels: Sequence[str], seed: int) -> float:
    """Choose the regularization. Raises InputError where there are too few images to hold any out."""
    fitted, validation = hold_out(learned, VALIDATION_SHARE, seed + 1)
    if not validation.labels_n:
        raise InputError("too few images to choose the regularization with; add images, at least three of a label")
    return choose_strength(fitted.vectors_nd, fitted.number(labels), validation.vectors_nd, validation.number(labels))


def measure_accuracy(probe: LinearProbe, test: LabelledFeatures, labels: Sequence[str]) -> ProbeAccuracy:
    truth_n = test.number(labels)
    share = Share.of(probe.logits(test.vectors_nd).argmax(axis=1) == truth_n)
    return ProbeAccuracy(share.hits, share.total, *share.interval, float(np.bincount(truth_n).max() / len(truth_n)))

"""A linear probe: logistic regression on stored vectors, with each label's text as one more example of it.

Radford et al. 2021, section 3.2, fit it on images alone; Lin et al. 2023 (cross-modal adaptation) add the texts, which
helps most where shots are few, and leaves a label without any with its text. M shots · L labels · D dimensions
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.few_shot import ClassIndices
from clip_vectorizer.vectors import Vectors

C_VALUES = (1.0, 3.0, 10.0, 30.0, 100.0)  # C: how far the weights may follow the examples
DEFAULT_C = 10.0  # with one shot a label, where nothing is left to choose by
FOLDS = 5
MAX_STEPS = 2_000  # of L-BFGS
GRADIENT_TOLERANCE = 1e-3  # the gradient that it may end with: a tenth takes twice as long and was no better


if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """Fitted. It knows the shots by heart, so its answers about them are better than those about other images."""

    model: "LogisticRegression"
    strength: float  # C

    @classmethod
    def fit(cls, shots_md: Vectors, classes_m: ClassIndices, texts_ld: Vectors | None = None) -> "LinearProbe":
        """C by cross-validation on the shots: the least cross-entropy. Without texts every class needs two shots.

        Raises InputError without scikit-learn.
        """
        texts_ld = shots_md[:0] if texts_ld is None else texts_ld
        order = np.argsort(classes_m, kind="stable")
        shots_md, classes_m = shots_md[order], classes_m[order]
        strength = DEFAULT_C
        if np.bincount(classes_m).max() > 1:
            folds_m = np.arange(len(classes_m)) % FOLDS  # neighbours in class go to different folds
            losses = {each: cross_validate(shots_md, classes_m, texts_ld, folds_m, each) for each in C_VALUES}
            strength = min(losses, key=lambda each: losses[each])
        return cls(fit_model(shots_md, classes_m, texts_ld, strength), strength)

    def logits(self, images_nd: Vectors) -> Vectors:
        """(N, L) float32 log-probabilities: a softmax of them gives the probe's own probabilities."""
        logs: Vectors = self.model.predict_log_proba(images_nd.astype(np.float64)).astype(np.float32)
        return logs


def cross_validate(
    shots_md: Vectors, classes_m: ClassIndices, texts_ld: Vectors, folds_m: ClassIndices, strength: float
) -> float:
    """Cross-entropy of the shots, each judged by a model that was fitted without its fold."""
    total = 0.0
    for fold in np.unique(folds_m):
        held = folds_m == fold
        model = fit_model(shots_md[~held], classes_m[~held], texts_ld, strength)
        logs = model.predict_log_proba(shots_md[held].astype(np.float64))
        total -= float(logs[np.arange(held.sum()), classes_m[held]].sum())
    return total / len(classes_m)


def fit_model(shots_md: Vectors, classes_m: ClassIndices, texts_ld: Vectors, strength: float) -> "LogisticRegression":
    """Where every label has at least its text, the model's classes are the labels, in their order."""
    examples = np.concatenate([shots_md, texts_ld]).astype(np.float64)
    truth = np.concatenate([classes_m, np.arange(len(texts_ld))])
    with warnings.catch_warnings():  # few examples of many labels are what this is for
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return import_regression()(C=strength, tol=GRADIENT_TOLERANCE, max_iter=MAX_STEPS).fit(examples, truth)


def import_regression() -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise InputError(
            "a linear probe needs scikit-learn, which is not installed; pip install 'clip-vectorizer[eval]', "
            "or take the few-shot cache (--few-shot), which needs nothing"
        ) from error
    return LogisticRegression

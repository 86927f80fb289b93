"""Linear probe: logistic regression on stored vectors, with the text of each label as one more example.

Radford et al. 2021, section 3.2, fit it on images alone; Lin et al. 2023 (cross-modal adaptation) add the texts, which
helps most with few shots; a label without shots still has its text. M shots · L labels · D dimensions
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.few_shot import ClassIndices
from clip_vectorizer.vectors import Vectors

C_VALUES = (1.0, 3.0, 10.0, 30.0, 100.0)  # C, inverse of the regularization
DEFAULT_C = 10.0  # with one shot per label, which leaves no validation data
FOLDS = 5
MAX_STEPS = 2_000  # of L-BFGS
GRADIENT_TOLERANCE = 1e-3  # a tenth of it takes twice as long and was not better


if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """A fitted probe. Its results for the shots are better than for other images, because it was fitted on them."""

    model: "LogisticRegression"
    strength: float  # C

    @classmethod
    def fit(cls, shots_md: Vectors, classes_m: ClassIndices, texts_ld: Vectors | None = None) -> "LinearProbe":
        """Fit with the C of least cross-entropy in cross-validation. Without texts every class needs two shots.

        `shots_md`: (M, D) unit rows. `classes_m`: (M,) indices of labels. `texts_ld`: (L, D) unit rows.
        Raises InputError if scikit-learn is not installed.
        """
        texts_ld = shots_md[:0] if texts_ld is None else texts_ld
        order = np.argsort(classes_m, kind="stable")
        shots_md, classes_m = shots_md[order], classes_m[order]
        strength = DEFAULT_C
        if np.bincount(classes_m).max() > 1:
            folds_m = np.arange(len(classes_m)) % FOLDS  # each class is spread over the folds
            losses = {each: cross_validate(shots_md, classes_m, texts_ld, folds_m, each) for each in C_VALUES}
            strength = min(losses, key=lambda each: losses[each])
        return cls(fit_model(shots_md, classes_m, texts_ld, strength), strength)

    def logits(self, images_nd: Vectors) -> Vectors:
        """Return (N, L) float32 log-probabilities: their softmax gives the probe's probabilities."""
        logs: Vectors = self.model.predict_log_proba(images_nd.astype(np.float64)).astype(np.float32)
        return logs


def cross_validate(
    shots_md: Vectors, classes_m: ClassIndices, texts_ld: Vectors, folds_m: ClassIndices, strength: float
) -> float:
    """Return the cross-entropy of the shots, each classified by a model that was fitted without its fold."""
    total = 0.0
    for fold in np.unique(folds_m):
        in_fold = folds_m == fold
        model = fit_model(shots_md[~in_fold], classes_m[~in_fold], texts_ld, strength)
        logs = model.predict_log_proba(shots_md[in_fold].astype(np.float64))
        total -= float(logs[np.arange(in_fold.sum()), classes_m[in_fold]].sum())
    return total / len(classes_m)


def fit_model(shots_md: Vectors, classes_m: ClassIndices, texts_ld: Vectors, strength: float) -> "LogisticRegression":
    """Fit on shots and texts. If every label has a text, the model's classes are the labels, in their order."""
    examples = np.concatenate([shots_md, texts_ld]).astype(np.float64)
    truth = np.concatenate([classes_m, np.arange(len(texts_ld))])
    with warnings.catch_warnings():  # few examples of many labels are expected here
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return import_regression()(C=strength, tol=GRADIENT_TOLERANCE, max_iter=MAX_STEPS).fit(examples, truth)


def import_regression() -> Any:
    """Import scikit-learn's LogisticRegression. Raises InputError if it is not installed."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise InputError(
            "a linear probe needs scikit-learn, which is not installed; pip install 'clip-vectorizer[eval]', "
            "or use the few-shot cache (--few-shot), which needs nothing else"
        ) from error
    return LogisticRegression

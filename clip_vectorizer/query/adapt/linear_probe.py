"""Linear probe: logistic regression on image vectors, with the text of each label as one more example.

Radford et al. 2021, section 3.2, fit it on images alone; Lin et al. 2023 (cross-modal adaptation) add the texts, which
helps most with few shots; a label without shots still has its text. `clip-vectorizer train linear-probe` fits it as the
first paper does. N images · M shots · L labels · D dimensions
"""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from clip_vectorizer.query.adapt.few_shot import ClassIndices
from clip_vectorizer.query.adapt.regression import fit_regression
from clip_vectorizer.vectors import Vectors

C_VALUES = (1.0, 3.0, 10.0, 30.0, 100.0)  # C, inverse of the regularization
DEFAULT_C = 10.0  # with one shot per label, which leaves no validation data
FOLDS = 5
MAX_STEPS = 2_000  # of L-BFGS
GRADIENT_TOLERANCE = 1e-3  # a tenth of it takes twice as long and was not better

# The search of Radford et al. 2021, A.3: 10^-6 to 10^6, coarse first, then around the best, to 8 values a decade.
COARSE_EXPONENTS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
FINEST_STEP = 1 / 8


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """A fitted probe. Its results for the shots are better than for other images, because it was fitted on them."""

    weights_ld: Vectors
    bias_l: Vectors
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
        return cls.fit_with(shots_md, classes_m, strength, texts_ld)

    @classmethod
    def fit_with(
        cls, shots_md: Vectors, classes_m: ClassIndices, strength: float, texts_ld: Vectors | None = None
    ) -> "LinearProbe":
        """Fit with C = `strength`."""
        model = fit_model(shots_md, classes_m, shots_md[:0] if texts_ld is None else texts_ld, strength)
        weights, bias = model.coef_, model.intercept_
        if len(weights) == 1:  # of two classes scikit-learn has one row: the logit of the second against the first
            weights, bias = np.concatenate([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
        return cls(weights.astype(np.float32), bias.astype(np.float32), strength)

    def logits(self, images_nd: Vectors) -> Vectors:
        """Return (N, L) float32 log-probabilities: their softmax gives the probe's probabilities."""
        logits_nl = images_nd.astype(np.float64) @ self.weights_ld.T + self.bias_l
        logits_nl -= logits_nl.max(axis=1, keepdims=True)
        logs: Vectors = (logits_nl - np.log(np.exp(logits_nl).sum(axis=1, keepdims=True))).astype(np.float32)
        return logs


def choose_strength(
    learned_md: Vectors, classes_m: ClassIndices, validation_nd: Vectors, validation_n: ClassIndices
) -> float:
    """Return the C of the best accuracy on images held out; of equal ones that of the least cross-entropy.

    Both sets have the classes 0 to L - 1; each class is among those to learn from.
    """

    @cache
    def judge(exponent: float) -> tuple[float, float]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "lbfgs failed to converge")  # almost no regularization: never the best
            logs_nl = LinearProbe.fit_with(learned_md, classes_m, 10.0**exponent).logits(validation_nd)
        own_n = logs_nl[np.arange(len(validation_n)), validation_n]
        return float((logs_nl.argmax(axis=1) == validation_n).mean()), float(own_n.mean())

    best = max(COARSE_EXPONENTS, key=judge)
    step = COARSE_EXPONENTS[1] - COARSE_EXPONENTS[0]
    while step > FINEST_STEP:
        step /= 2
        around = [each for each in (best - step, best, best + step) if abs(each) <= COARSE_EXPONENTS[-1]]
        best = max(around, key=judge)
    return float(10.0**best)


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


def fit_model(shots_md: Vectors, classes_m: ClassIndices, texts_ld: Vectors, strength: float) -> Any:
    """Fit on shots and texts. If every label has a text, the model's classes are the labels, in their order."""
    examples = np.concatenate([shots_md, texts_ld]).astype(np.float64)
    truth = np.concatenate([classes_m, np.arange(len(texts_ld))])
    with warnings.catch_warnings():  # few examples of many labels are expected here
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return fit_regression(examples, truth, C=strength, tol=GRADIENT_TOLERANCE, max_iter=MAX_STEPS)

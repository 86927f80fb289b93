"""Logistic regression of scikit-learn, on one thread.

N examples · D dimensions
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import InputError


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


def fit_regression(values_nd: npt.NDArray[np.floating[Any]], truth_n: npt.NDArray[Any], **options: Any) -> Any:
    """Return a fitted LogisticRegression. Raises InputError if scikit-learn is not installed.

    Each step of L-BFGS multiplies a matrix with a vector, for which threads wait longer than they compute: with two,
    50 rows took 20 times as long on a busy machine, and 40,000 still 1.7 times.
    """
    regression = import_regression()(**options)
    with find_thread_pools().limit(limits=1, user_api="blas"):
        return regression.fit(values_nd, truth_n)


@cache
def find_thread_pools() -> Any:
    from threadpoolctl import ThreadpoolController  # comes with scikit-learn

    return ThreadpoolController()

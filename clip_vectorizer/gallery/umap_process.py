"""A process that reads vectors and writes their places by UMAP: numpy's .npy format on stdin and stdout.

python -m clip_vectorizer.gallery.umap_process < vectors.npy > places.npy
"""

import io
import sys
import warnings

import numpy as np

SEED = 42
NEIGHBOURS = 15  # UMAP's own choice
LEAST = 4  # images of which UMAP makes a layout; fewer stand in a row


def main() -> None:
    vectors_nd = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    out = io.BytesIO()
    np.save(out, place(vectors_nd), allow_pickle=False)
    sys.stdout.buffer.write(out.getvalue())


def place(vectors_nd: np.ndarray) -> np.ndarray:
    """Return (N, 2) float32; the same for the same vectors."""
    count = len(vectors_nd)
    if count < LEAST:
        return np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.float32)
    warnings.simplefilter("ignore")  # on stderr is the reason of a failure alone
    import umap  # takes seconds, and is an extra

    few = min(NEIGHBOURS, count - 1)
    start = "spectral" if count > 3 * NEIGHBOURS else "random"  # a spectral start needs more images than dimensions
    layout = umap.UMAP(n_neighbors=few, metric="cosine", random_state=SEED, n_jobs=1, init=start)
    return np.asarray(layout.fit_transform(vectors_nd), dtype=np.float32)


if __name__ == "__main__":
    main()

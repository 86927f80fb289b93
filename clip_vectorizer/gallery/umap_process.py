"""A process that reads vectors and writes their places by UMAP, again and again until its input ends.

On stdin and stdout: eight bytes with a length, the least significant first, and so many bytes of numpy's .npy format.
"""

import io
import sys
import warnings

import numpy as np

LENGTH_BYTES = 8
SEED = 42
NEIGHBOURS = 15  # UMAP's own choice
LEAST = 4  # images of which UMAP makes a layout; fewer stand in a row


def main() -> None:
    while length := sys.stdin.buffer.read(LENGTH_BYTES):
        vectors_nd = np.load(io.BytesIO(sys.stdin.buffer.read(read_length(length))), allow_pickle=False)
        out = io.BytesIO()
        np.save(out, place(vectors_nd), allow_pickle=False)
        sys.stdout.buffer.write(write_length(out.getvalue()) + out.getvalue())
        sys.stdout.buffer.flush()


def write_length(data: bytes | memoryview) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES, "little")


def read_length(data: bytes) -> int:
    return int.from_bytes(data, "little")


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

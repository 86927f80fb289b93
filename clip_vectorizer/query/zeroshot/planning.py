"""Which way of comparing is the fastest for so many images and labels: a cost model in seconds.

Its figures are those of benchmarks/zeroshot on two cores with Weaviate on the same machine. Another machine's are
larger or smaller together, so the choice stays; and all ways give the same labels.
"""

from dataclasses import dataclass

IMAGES, LABELS, MATMUL, AUTO = "images", "labels", "matmul", "auto"
STRATEGIES = (AUTO, IMAGES, LABELS, MATMUL)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds."""

    query: float = 0.9e-3  # one nearVector, whatever it finds
    row: float = 17e-6  # each id and distance that it answers
    path: float = 115e-6  # reading one image without its vector
    number: float = 0.07e-6  # of a vector, on its way here


def seconds(images: int, labels: int, dimension: int, in_files: bool, costs: Costs | None = None) -> dict[str, float]:
    """What each strategy would take, by name. `in_files`: the images' vectors come from the sidecar in any case."""
    costs = costs or Costs()
    read = 0.0 if in_files else images * (costs.path + dimension * costs.number)
    by_image = {MATMUL: read, IMAGES: read + images * (costs.query + labels * costs.row)}
    if in_files:
        return by_image
    return by_image | {LABELS: images * costs.path + labels * (costs.query + images * costs.row)}


def fastest(images: int, labels: int, dimension: int, in_files: bool) -> str:
    """The matrix product, but for two or three labels and long vectors, which are then better left where they are."""
    costs = seconds(images, labels, dimension, in_files)
    return min(costs, key=lambda name: costs[name])

# ruff: noqa: T201 - a program may print
"""Search and classify from Python. Run it with a filled collection:

eval "$(clip-demo up)"
clip-ingest examples/images
python examples/search.py
"""

import os
from pathlib import Path

from clip_vectorizer.query import ImageSearch

EXAMPLES = Path(__file__).parent / "images"


def main() -> None:
    with connect_search() as images:
        # A text, in English or Chinese: Weaviate's module has the sidecar embed it (nearText).
        for query in ("a red apple", "红苹果"):
            print(query)
            for hit in images.by_text(query, limit=3):
                print(f"  {hit.similarity:.3f}  {hit.path}")

        # An image: a path, a file's bytes or a PIL image.
        [picture, *others] = sorted(EXAMPLES.rglob("*.png"))[:4]
        print(f"like {picture.name}")
        for hit in images.by_image(picture, limit=3):
            print(f"  {hit.similarity:.3f}  {hit.path}")

        # Zero-shot classification: no training, any labels. None instead of files takes the whole collection.
        for result in images.classify([picture, *others], labels=["animal", "food", "vehicle"]):
            print(f"{Path(result.path).name}: {result.error or f'{result.label} ({result.score:.0%})'}")


def connect_search() -> ImageSearch:
    """Connect with settings from the environment, which the library itself does not read."""
    return ImageSearch.connect(
        weaviate_url=os.environ.get("WEAVIATE_URL", "http://localhost:8080"),
        grpc_port=int(os.environ.get("WEAVIATE_GRPC_PORT", "50051")),
        api_key=os.environ.get("WEAVIATE_API_KEY"),
        vectorizer_url=os.environ.get("VECTORIZER_URL", "http://localhost:9090"),
    )


if __name__ == "__main__":
    main()

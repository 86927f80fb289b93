"""The loop of Weaviate's documentation, which brings the images of a folder in: what `clip-ingest` is compared with.

Batch import with an image property (docs.weaviate.io, "Multimodal Embeddings", "Data import"): base64 of each file,
`batch.fixed_size`, and Weaviate's module fetches the vectors. No resume, no check, no thumbnail.
"""

import base64
import json
import time
from pathlib import Path

import click
from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property

from clip_vectorizer.common_options import weaviate_options
from clip_vectorizer.database.connection import connect_weaviate

BATCH = 100


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--collection", default="Documented", show_default=True, help="Made if it is not there.")
@weaviate_options
def main(
    folder: Path, collection: str, weaviate_url: str, weaviate_grpc_port: int, weaviate_api_key: str | None
) -> None:
    """Bring every JPEG in FOLDER in, and print as JSON how many and the seconds that the loop took.

    \b
    Example:
      python benchmarks/ingest/documented.py examples/images/fruit
    """
    with connect_weaviate(weaviate_url, weaviate_grpc_port, weaviate_api_key) as client:
        make(client, collection)
        start = time.monotonic()
        added = loop(client, collection, folder)
        click.echo(json.dumps({"added": added, "seconds": time.monotonic() - start}))


def make(client: WeaviateClient, collection: str) -> None:
    if not client.collections.exists(collection):
        client.collections.create(
            collection,
            properties=[
                Property(name="name", data_type=DataType.TEXT),
                Property(name="image", data_type=DataType.BLOB),
            ],
            vector_config=[Configure.Vectors.multi2vec_clip(name="image_vector", image_fields=["image"])],
        )


def loop(client: WeaviateClient, collection: str, folder: Path) -> int:
    """How many objects went in. Raises RuntimeError when one did not."""
    images = client.collections.use(collection)
    added = 0
    with images.batch.fixed_size(batch_size=BATCH) as batch:
        for file in sorted(folder.glob("*.jpg")):
            batch.add_object(
                properties={"name": file.name, "image": base64.b64encode(file.read_bytes()).decode("ascii")}
            )
            added += 1
    if failed := images.batch.failed_objects:
        raise RuntimeError(f"{len(failed)} of {added} objects failed: {failed[0].message[:500]}")
    return added


if __name__ == "__main__":
    main()

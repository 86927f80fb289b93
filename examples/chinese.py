# ruff: noqa: T201 - a program may print
"""Zero-shot classification in Chinese with nothing but a sidecar: 猫, 狗, 猪 or 虎 (cat, dog, pig or tiger)?

clip-vectorizer serve --model emoji
python examples/chinese.py

The same with Taiyi (`--model taiyi:TEXT,IMAGE`) or Chinese-CLIP; other pictures: python examples/chinese.py FILE...
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query.prompts import default_templates, fill_templates
from clip_vectorizer.query.zeroshot.scores import softmax
from clip_vectorizer.vectors import Vectors, ensemble

LABELS = ("猫", "狗", "猪", "虎")
PICTURES = sorted((Path(__file__).parent / "chinese").glob("*.png"))


def main(files: Sequence[Path]) -> None:
    with VectorizerClient(os.environ.get("VECTORIZER_URL", "http://localhost:9090")) as sidecar:
        print(sidecar.meta().model)
        for file, shares in zip(files, classify_files(sidecar, files), strict=True):
            ranked = sorted(zip(LABELS, shares, strict=True), key=lambda pair: -pair[1])
            print(f"  {file.name}: {', '.join(f'{label} {share:.0%}' for label, share in ranked)}")


def classify_files(sidecar: VectorizerClient, files: Sequence[Path]) -> list[list[float]]:
    """Return the share of each label, for each picture."""
    model = sidecar.meta()
    labels_ld = embed_labels(sidecar, model.model)
    images_nd = sidecar.embed_images([file.read_bytes() for file in files])
    shares: list[list[float]] = softmax(model.logit_scale * images_nd @ labels_ld.T).tolist()
    return shares


def embed_labels(sidecar: VectorizerClient, model: str) -> Vectors:
    """Return a vector a label: the mean over prompts such as 一张猫的照片."""
    prompts = [fill_templates(default_templates(label, model), label) for label in LABELS]
    vectors = sidecar.embed_texts([prompt for each in prompts for prompt in each])
    return ensemble(vectors.reshape(len(LABELS), len(prompts[0]), -1))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or PICTURES)

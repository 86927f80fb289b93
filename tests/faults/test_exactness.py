"""Equal inputs get equal bits in any batch, any request and any mix of requests."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.models.encoder import PreparedText  # noqa: TID251 - the fake stands in the sidecar
from clip_vectorizer.server.app import create_app  # noqa: TID251 - the real app, without a socket
from clip_vectorizer.server.settings import Settings  # noqa: TID251
from clip_vectorizer.vectors import Pixels, Vectors
from tests.fakes import HashEncoder
from tests.faults.pictures import plain
from tests.faults.processes import Sidecar
from tests.faults.requests import base64_of, together

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
TEXTS = ["a red apple", "红苹果", "", "a", "a much longer text than any of the others here", "guitar"]
PICTURES = [base64_of(plain((40 * n, 200, 9))) for n in range(6)]
EPSILON = np.finfo(np.float32).eps

# A round is a list of requests sent at once; a request is (texts, pictures) by their numbers.
some = st.lists(st.integers(0, len(TEXTS) - 1), max_size=6)
rounds_of_requests = st.lists(st.lists(st.tuples(some, some), min_size=1, max_size=6), min_size=1, max_size=4)

Seen = dict[str, set[bytes]]


class UnsteadyEncoder(HashEncoder):
    """The last bits of a row depend on its batch's size and its place in it, as a real model's do."""

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        return unsteady(super().encode_texts(texts))

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        return unsteady(super().encode_images(images))


def unsteady(rows_nd: Vectors) -> Vectors:
    shifts = EPSILON * (len(rows_nd) + 8 * np.arange(len(rows_nd), dtype=np.float32)[:, None])
    return (rows_nd * (1 + shifts)).astype(np.float32)


def test_the_unsteady_encoder_is_unsteady() -> None:
    assert len({row.tobytes() for size in (1, 2, 3) for row in unsteady(np.ones((size, 8), np.float32))}) > 3


@settings(max_examples=60, deadline=None)
@given(rounds=rounds_of_requests)
def test_equal_inputs_get_equal_bits_in_any_mix_of_requests(rounds: list[list[tuple[list[int], list[int]]]]) -> None:
    async def scenario() -> Seen:
        seen: Seen = defaultdict(set)
        transport = httpx.ASGITransport(app=create_app(Settings(), UnsteadyEncoder()))
        async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as client:
            for requests in rounds:
                bodies = [body_of(texts, pictures) for texts, pictures in requests]
                answers = await asyncio.gather(*(client.post("/vectorize", json=body) for body in bodies))
                for body, answer in zip(bodies, answers, strict=True):
                    note(seen, body, answer)
        return seen

    assert_one_vector_each(asyncio.run(scenario()))


def body_of(texts: Sequence[int], pictures: Sequence[int]) -> dict[str, list[str]]:
    return {"texts": [TEXTS[n] for n in texts], "images": [PICTURES[n] for n in pictures]}


def note(seen: Seen, body: dict[str, list[str]], answer: httpx.Response) -> None:
    """Each input's vector, as the bits it has in float32."""
    assert answer.status_code == 200, answer.text
    fields: dict[str, Any] = answer.json()
    for text, row in zip(body["texts"], fields["textVectors"], strict=True):
        seen["text " + text].add(np.float32(row).tobytes())
    for picture, row in zip(body["images"], fields["imageVectors"], strict=True):
        seen["picture " + picture].add(np.float32(row).tobytes())


def assert_one_vector_each(seen: Seen) -> None:
    assert {name[:40]: len(vectors) for name, vectors in seen.items() if len(vectors) != 1} == {}


def test_the_real_model_gives_equal_bits_in_any_mix_of_requests(real: Sidecar) -> None:
    choice = random.Random(4)
    pictures = [base64_of(path.read_bytes()) for path in sorted(EXAMPLES.rglob("*.png"))[:20]]
    texts = [f"a drawing of number {n}" for n in range(20)]
    seen: Seen = defaultdict(set)
    for _ in range(12):
        bodies = [
            {
                "texts": choice.choices(texts, k=choice.randint(0, 6)),
                "images": choice.choices(pictures, k=choice.randint(0, 6)),
            }
            for _ in range(12)
        ]
        with together() as start:
            answers = [start(real.request, "POST", "/vectorize", json=body) for body in bodies]
        for body, answer in zip(bodies, answers, strict=True):
            note(seen, body, answer.result())
    assert len(seen) == 40
    assert_one_vector_each(seen)


def test_one_image_sent_from_many_clients_at_once_has_one_vector(real: Sidecar) -> None:
    picture = base64_of(sorted(EXAMPLES.rglob("*.png"))[30].read_bytes())
    seen: Seen = defaultdict(set)
    with together() as start:
        answers = [start(real.vectorize, [f"neighbour {n}"] * (n % 3), [picture]) for n in range(40)]
    for answer in answers:
        seen["picture"].add(np.float32(answer.result().json()["imageVectors"][0]).tobytes())
    assert_one_vector_each(seen)

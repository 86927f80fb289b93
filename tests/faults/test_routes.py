"""The same vector by every route, to the last bit."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults.encoders import POISON
from tests.faults.pictures import BOMBS, cut, noise, plain
from tests.faults.processes import Sidecar, faulty
from tests.faults.requests import base64_of, fresh, refusal

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
TIMES = ["parse", "decode", "queue", "encode", "serialise", "total"]


def openai(sidecar: Sidecar, given: Any, **more: Any) -> list[np.ndarray[Any, Any]]:
    answer = sidecar.request("POST", "/v1/embeddings", json={"model": "emoji", "input": given, **more})
    assert answer.status_code == 200, answer.text
    fields = answer.json()
    assert fields["object"] == "list"
    assert [entry["index"] for entry in fields["data"]] == list(range(len(fields["data"])))
    return [row_of(entry["embedding"]) for entry in fields["data"]]


def row_of(embedding: list[float] | str) -> np.ndarray[Any, Any]:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), dtype="<f4")
    return np.array(embedding, dtype=np.float32)


def test_a_picture_has_the_same_bits_by_every_route(real: Sidecar) -> None:
    files = [path.read_bytes() for path in sorted(EXAMPLES.rglob("*.png"))[40:44]]
    rows = np.array(real.vectorize([], [base64_of(file) for file in files]).json()["imageVectors"], dtype=np.float32)
    uris = [f"data:image/png;base64,{base64_of(file)}" for file in files]
    np.testing.assert_array_equal(openai(real, uris), rows)
    np.testing.assert_array_equal(openai(real, [{"image": uri} for uri in uris]), rows)
    np.testing.assert_array_equal(openai(real, uris, encoding_format="base64"), rows)
    parts = [("images", (f"{n}.png", file, "image/png")) for n, file in enumerate(files)]
    answer = real.request("POST", "/vectorize/images", files=parts)
    assert answer.headers["content-type"] == "application/x-npy"
    array = np.load(io.BytesIO(answer.content))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, rows)


def test_a_text_has_the_same_bits_by_every_route(real: Sidecar) -> None:
    texts = ["a red apple", "红苹果", ""]
    rows = np.array(real.vectorize(texts).json()["textVectors"], dtype=np.float32)
    np.testing.assert_array_equal(openai(real, texts), rows)
    np.testing.assert_array_equal(openai(real, texts, encoding_format="base64"), rows)
    np.testing.assert_array_equal(openai(real, texts[0]), rows[:1])


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        ({}, (400, 422)),
        ({"input": None}, (400, 422)),
        ({"input": 7}, (400, 422)),
        ({"input": [[1, 2, 3]]}, (400, 422)),
        ({"input": [{"picture": "x"}]}, (400, 422)),
        ({"input": ["data:image/png;base64,bm8="]}, (422,)),
        ({"input": [{"image": "data:image/png;base64,bm8="}]}, (422,)),
        ({"input": "a", "encoding_format": "hex"}, (400, 422)),
        ({"input": ["a"] * 5000}, (413,)),
        ({"input": [f"data:image/png;base64,{base64_of(BOMBS['packed PNG']())}"]}, (413,)),
        ({"input": ["poison 1"]}, (500,)),
    ],
)
def test_openais_route_refuses_with_a_sentence(sidecar: Sidecar, body: object, statuses: tuple[int, ...]) -> None:
    assert refusal(sidecar.request("POST", "/v1/embeddings", json=body), *statuses)


BOUNDARY = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
GOOD = BOUNDARY + plain((1, 2, 3)) + b"\r\n"


@pytest.mark.parametrize(
    ("kind", "body", "statuses"),
    [
        pytest.param("application/json", b"{}", (400, 415, 422), id="not a form"),
        pytest.param("multipart/form-data", GOOD, (400, 422), id="no boundary"),
        pytest.param("multipart/form-data; boundary=" + "b" * 5000, GOOD, (400, 422), id="a boundary of 5000"),
        pytest.param("multipart/form-data; boundary=b", b"nonsense", (400, 422), id="nonsense"),
        pytest.param("multipart/form-data; boundary=b", GOOD, (200, 400, 422), id="no end"),
        pytest.param("multipart/form-data; boundary=b", GOOD[:-20], (400, 422), id="half a part"),
        pytest.param("multipart/form-data; boundary=b", GOOD * 5000 + b"--b--\r\n", (400, 413), id="too many parts"),
        pytest.param(
            "multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 100_000, (400, 413, 422), id="headers"
        ),
        pytest.param(
            "multipart/form-data; boundary=b", BOUNDARY + cut(noise(9, 9)) + b"\r\n--b--\r\n", (422,), id="broken"
        ),
        pytest.param(
            "multipart/form-data; boundary=b", BOUNDARY + BOMBS["PNG"]() + b"\r\n--b--\r\n", (413,), id="a bomb"
        ),
        pytest.param(
            "multipart/form-data; boundary=b", BOUNDARY + plain(POISON) + b"\r\n--b--\r\n", (500,), id="poison"
        ),
    ],
)
def test_the_binary_route_refuses_with_a_sentence(
    sidecar: Sidecar, kind: str, body: bytes, statuses: tuple[int, ...]
) -> None:
    answer = sidecar.request("POST", "/vectorize/images", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200 in statuses or refusal(answer, *statuses)


def test_an_answer_has_the_times_of_its_stages(sidecar: Sidecar) -> None:
    answer = sidecar.vectorize([fresh("sleep 0.3")], [base64_of(noise(640, 480))])
    times = {name: float(answer.headers[f"x-{name}-time"]) for name in TIMES}
    assert all(value >= 0 for value in times.values())
    assert times["encode"] >= 300, "milliseconds"
    assert times["total"] >= times["encode"]


def test_metrics_count_what_happened() -> None:
    with faulty() as own:
        own.vectorize(["a", "a", fresh("poison")])
        own.vectorize(["a"])
        own.request("POST", "/vectorize", content=b"{")
        page = own.request("GET", "/metrics").text
    values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
    assert all(float(value) == float(value) for value in values.values())
    assert len(values) > 10


@pytest.mark.parametrize("setting", [{"CLIP_BASIC_AUTH": "me:secret"}, {"CLIP_API_KEYS": "other,secret"}])
def test_a_request_without_a_key_is_a_401_and_probes_stay_open(setting: dict[str, Any]) -> None:
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    right = {"Authorization": basic if "CLIP_BASIC_AUTH" in setting else "Bearer secret"}
    with faulty(**setting) as own:
        for headers in (
            {},
            {"Authorization": "Basic bm86bm8="},
            {"Authorization": "Bearer no"},
            {"Authorization": b"\xff"},
        ):
            for path in ("/vectorize", "/v1/embeddings", "/vectorize/images"):
                assert refusal(own.request("POST", path, content=b"{}", headers=headers), 401)
        answer = own.request("POST", "/vectorize", json={"texts": ["a"]}, headers=right)
        assert answer.status_code == 200, answer.text
        assert own.request("GET", "/.well-known/live").status_code == 204

"""Bodies that are almost, or not at all, valid: a sentence for each, and never a 500."""

import json

import pytest

from tests.faults.processes import Sidecar
from tests.faults.requests import refusal

DEEP = 100_000

NONSENSE = {
    "nothing": b"",
    "spaces": b"   \n",
    "half an object": b'{"texts": ["a"',
    "two objects": b'{"texts": ["a"]}{"texts": ["b"]}',
    "a comma too many": b'{"texts": ["a",]}',
    "single quotes": b"{'texts': ['a']}",
    "NaN for a text": b'{"texts": [NaN]}',
    "Infinity for texts": b'{"texts": -Infinity}',
    "not UTF-8": b'{"texts": ["\xff\xfe"]}',
    "overlong UTF-8": b'{"texts": ["\xc0\x80"]}',
    "a surrogate in UTF-8": b'{"texts": ["\xed\xa0\x80"]}',
    "half a surrogate pair": rb'{"texts": ["\ud83d"]}',
    "surrogates in the wrong order": rb'{"texts": ["\udc00\ud800"]}',
    "a raw NUL": b'{"texts": ["a\x00b"]}',
    "a raw newline": b'{"texts": ["a\nb"]}',
    "deep lists": b"[" * DEEP,
    "deep and closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"texts":' * DEEP,
    "deep in a text": b'{"texts": [' + b"[" * DEEP + b"]" * DEEP + b"]}",
    "a number for texts": b'{"texts": 7}',
    "a huge number": b'{"texts": ' + b"9" * 10_000 + b"}",
    "a huge exponent": b'{"texts": [1e999999999]}',
    "a text for texts": b'{"texts": "a"}',
    "an object for images": b'{"images": {"0": "a"}}',
    "a number among texts": b'{"texts": ["a", 1]}',
    "null among images": b'{"images": [null]}',
    "a list among texts": b'{"texts": [["a"]]}',
    "a list": b'["a"]',
    "a string": b'"a"',
    "true": b"true",
    "null": b"null",
    "too many items": json.dumps({"texts": ["a"] * 100_000}).encode(),
    "an image that is no base64": b'{"images": ["***"]}',
    "an image of surrogates": rb'{"images": ["\ud83d"]}',
    "an empty image": b'{"images": [""]}',
    "a data URI of nothing": b'{"images": ["data:image/png;base64,"]}',
    "a data URI without a comma": b'{"images": ["data:image/png;base64"]}',
    "a web address": b'{"images": ["http://127.0.0.1:1/picture.png"]}',
    "a file's path": b'{"images": ["/etc/passwd"]}',
}

FINE = {
    "a NUL escaped": rb'{"texts": ["a\u0000b"]}',
    "a byte order mark in a text": '{"texts": ["\ufeffa"]}'.encode(),
    "control characters": rb'{"texts": ["\u0001\u001f\u007f\u0085\u2028"]}',
    "an empty text": b'{"texts": [""]}',
    "spaces alone": b'{"texts": ["   "]}',
    "emoji as escapes": rb'{"texts": ["\ud83c\udf4e"]}',
    "the same key twice": b'{"texts": ["a"], "texts": ["b"]}',
    "an unknown key": b'{"texts": ["a"], "huge": 9e999, "more": {"x": [1, 2, {}]}}',
    "null for images": b'{"texts": ["a"], "images": null}',
    "a text of 5 MB": b'{"texts": ["' + b"word " * 1_000_000 + b'"]}',
    "right to left and combining": '{"texts": ["‮שלום e\u0301\u0301\u0301"]}'.encode(),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_with_a_sentence(sidecar: Sidecar, name: str) -> None:
    sentence = refusal(sidecar.request("POST", "/vectorize", content=NONSENSE[name]), 400, 413, 422)
    assert len(sentence) < 1000, "an answer does not repeat what was sent"


@pytest.mark.parametrize("name", FINE)
def test_an_odd_but_valid_body_has_its_vector(sidecar: Sidecar, name: str) -> None:
    answer = sidecar.request("POST", "/vectorize", content=FINE[name])
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["textVectors"]) == 1

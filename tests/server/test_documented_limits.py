"""The pages name the limits and the port that a sidecar has."""

import pytest

from clip_vectorizer.server.limits import MIB
from clip_vectorizer.server.settings import parse_settings
from tests.documents import page


@pytest.mark.parametrize("name", ["README.md", "docs/serve.md"])
def test_the_limits_are_those_of_the_sidecar(name: str) -> None:
    settings = parse_settings({})
    rows = page(name).section("Limits").table("limit")
    assert len(rows) >= 4
    for _, default, variable in rows:
        field = variable.strip("`").removeprefix("CLIP_").lower()
        owner = settings.limits if hasattr(settings.limits, field) else settings
        assert read_amount(default) == getattr(owner, field), variable


def read_amount(text: str) -> float:
    """`112 MiB`, `100 million`, `45 s, then 503`: the number that it means."""
    number, *unit = text.partition(",")[0].split()
    return float(number) * {"MiB": MIB, "million": 1_000_000, "s": 1}[unit[0] if unit else "s"]


def test_prometheus_scrapes_the_port_that_the_sidecar_listens_on() -> None:
    assert f'targets: ["localhost:{parse_settings({}).port}"]' in page("docs/deploy.md").blocks("yaml")[-1]

"""The autoscaler's query, as prometheus-adapter fills it in, computed by Prometheus' own promtool."""

from pathlib import Path

import pytest
import yaml

from tests.containers.chart.releases import HELM_FOLDER
from tests.containers.engine import docker

pytestmark = pytest.mark.containers

STEPS = "x20"  # 10 minutes


def make_query() -> str:
    """For the pods a, b and c of the namespace `search`."""
    [rule] = yaml.safe_load((HELM_FOLDER / "prometheus-adapter.yaml").read_text("utf-8"))["rules"]["custom"]
    filled = {
        "<<.Series>>": rule["seriesQuery"].partition("{")[0],
        "<<.LabelMatchers>>": 'namespace="search",pod=~"a|b|c"',
        "<<.GroupBy>>": "pod",
    }
    query = str(rule["metricsQuery"])
    for name, value in filled.items():
        query = query.replace(name, value)
    return query


def make_series(name: str, pod: str, kind: str, each_step: int, namespace: str = "search") -> dict[str, str]:
    labels = f'namespace="{namespace}",pod="{pod}",kind="{kind}"'
    return {"series": f"clip_queue_wait_seconds_{name}{{{labels}}}", "values": f"7+{each_step}{STEPS}"}


@pytest.mark.parametrize(("mean_of_c", "passes"), [(0.2, True), (0.3, False)])
def test_each_pod_has_the_mean_of_what_its_items_waited(
    prometheus_image: str, tmp_path: Path, mean_of_c: float, passes: bool
) -> None:
    """a: images that waited for 0.5 s; b: no work, and so 0; c: texts and images. Another namespace's pod is not read.

    The second case is wrong on purpose: promtool compares.
    """
    series = [
        *(make_series("sum", "a", "image", 30), make_series("count", "a", "image", 60)),
        *(make_series("sum", "b", "image", 0), make_series("count", "b", "image", 0)),
        *(make_series("sum", "c", "text", 3), make_series("count", "c", "text", 30)),
        *(make_series("sum", "c", "image", 9), make_series("count", "c", "image", 30)),
        *(make_series("sum", "a", "image", 999, "other"), make_series("count", "a", "image", 1, "other")),
    ]
    expected = [
        {"labels": f'{{pod="{pod}"}}', "value": value} for pod, value in (("a", 0.5), ("b", 0), ("c", mean_of_c))
    ]
    check = {"expr": make_query(), "eval_time": "10m", "exp_samples": expected}
    test = {"interval": "30s", "input_series": series, "promql_expr_test": [check]}
    ran = run_promtool(prometheus_image, tmp_path, yaml.safe_dump({"evaluation_interval": "30s", "tests": [test]}))
    assert ("SUCCESS" in ran) == passes, ran
    assert passes or "got:" in ran


def run_promtool(image: str, folder: Path, text: str) -> str:
    """What `promtool test rules` prints."""
    file = folder / "test.yaml"
    file.write_text(text)
    file.chmod(0o644)
    options = ("--network", "none", "--volume", f"{file}:/test.yaml:ro", "--entrypoint", "promtool")
    ran = docker("run", "--rm", *options, image, "test", "rules", "/test.yaml", expect=None)
    return ran.stdout + ran.stderr

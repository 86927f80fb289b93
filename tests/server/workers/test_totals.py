"""Metrics of several processes are one page of sums."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from clip_vectorizer.server.metrics import sum_pages


def page_of(requests: dict[str, int], inside: int, seconds: list[float]) -> bytes:
    registry = CollectorRegistry()
    counter = Counter("clip_requests", "Answers.", ["status"], registry=registry)
    for status, count in requests.items():
        counter.labels(status).inc(count)
    Gauge("clip_inside", "In flight.", registry=registry).set(inside)
    Gauge("process_start_time_seconds", "When.", registry=registry).set(1000 + inside)
    histogram = Histogram("clip_seconds", "Of a pass.", buckets=(1, 2), registry=registry)
    for each in seconds:
        histogram.observe(each)
    return generate_latest(registry)


def values(page: bytes) -> dict[str, float]:
    families = text_string_to_metric_families(page.decode())
    return {each.name + "".join(each.labels.values()): each.value for family in families for each in family.samples}


def test_values_of_equal_names_and_labels_are_added_up() -> None:
    total = values(sum_pages([page_of({"200": 3}, 1, [0.5]), page_of({"200": 4, "503": 1}, 2, [1.5, 5])]))
    assert (total["clip_requests_total200"], total["clip_requests_total503"], total["clip_inside"]) == (7, 1, 3)
    assert (total["clip_seconds_bucket1.0"], total["clip_seconds_bucket2.0"]) == (1, 2)
    assert (total["clip_seconds_count"], total["clip_seconds_sum"]) == (3, 7)


def test_counts_of_one_process_are_unchanged() -> None:
    page = page_of({"200": 3}, 1, [0.5])
    assert values(sum_pages([page])) == {n: v for n, v in values(page).items() if "_created" not in n}


def test_a_sum_of_sums_is_the_sum() -> None:
    pages = [page_of({"200": n}, n, [n]) for n in range(3)]
    assert values(sum_pages([sum_pages(pages[:2]), pages[2]])) == values(sum_pages(pages))


def test_counts_of_a_process_that_ended_stay_but_not_its_gauges() -> None:
    total = values(sum_pages([page_of({"200": 3}, 1, [0.5])], page_of({"200": 4}, 2, [0.5])))
    assert (total["clip_requests_total200"], total["clip_seconds_count"], total["clip_inside"]) == (7, 2, 1)


def test_the_start_is_that_of_the_oldest() -> None:
    assert values(sum_pages([page_of({}, 5, []), page_of({}, 2, [])]))["process_start_time_seconds"] == 1002

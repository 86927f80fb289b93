"""The metrics of several processes as one page: values of equal names and labels are added up."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

GAUGE = "gauge"
NOT_SUMS: dict[str, Callable[[float, float], float]] = {"process_start_time_seconds": min, "process_max_fds": min}


def summed(pages: Iterable[bytes], last_words: bytes = b"") -> bytes:
    """One page of many. Of `last_words`, the page of processes that ended, only what counts: no gauges."""
    families: dict[str, Metric] = {}
    for family in (*counters(families_of(last_words)), *(each for page in pages for each in families_of(page))):
        add(families.setdefault(family.name, Metric(family.name, family.documentation, family.type)), family)
    return generate_latest(Families(list(families.values())))  # it only calls `collect`


def families_of(page: bytes) -> Iterator[Metric]:
    """Without the times at which each process began to count: their sum means nothing."""
    return (each for each in text_string_to_metric_families(page.decode()) if not each.name.endswith("_created"))


def counters(families: Iterable[Metric]) -> Iterator[Metric]:
    return (family for family in families if family.type != GAUGE)


def add(total: Metric, family: Metric) -> None:
    places = {(sample.name, *sorted(sample.labels.items())): n for n, sample in enumerate(total.samples)}
    for sample in family.samples:
        place = places.get((sample.name, *sorted(sample.labels.items())))
        if place is None:
            total.samples.append(sample)
        else:
            join: Callable[[float, float], float] = NOT_SUMS.get(sample.name, operator.add)
            total.samples[place] = sample._replace(value=join(total.samples[place].value, sample.value))


class Families:
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families

"""What 100 million images need, worked out from rates of this machine; `docs/scale.md` quotes it.

Measured: listing, reading, what a sidecar does beside its model, what Weaviate takes and holds, what the driver of a
distributed ingest does. Not measured: GPUs, a cluster, a database of that size.
"""

from pathlib import Path

import click

from benchmarks.common import Figure, Report, Spread, add_json_option, count_cores
from benchmarks.scale.database import in_weaviate
from benchmarks.scale.needs import Measured, needs
from benchmarks.scale.rates import at_driver, bytes_of, listing, reading, sample, sidecar

CLAIM = "what 100 million images need, from rates of this machine"


@click.command()
@click.option("--objects", default=20_000, show_default=True, type=click.IntRange(1000), help="Put into Weaviate.")
@add_json_option
def main(objects: int, json_file: Path | None) -> None:
    """Measure the rates, then work out what 100 million images need.

    \b
    Example:
      python benchmarks/scale --objects 5000
    """
    report = Report(CLAIM)
    report.begin()
    files = sample()
    file_bytes, thumbnail_bytes = bytes_of(files)
    found = Measured(
        cores=count_cores(),
        file_bytes=file_bytes,
        thumbnail_bytes=thumbnail_bytes,
        listed=listing(),
        read=reading(files),
        sidecar=sidecar(files),
        **at_driver(),
        **in_weaviate(objects),
    )
    for what, unit, value in found.rows():
        report.add(Figure(what, unit, None, Spread.of([value]), None))
    for sentence in needs(found):
        report.note(sentence)
    report.write(json_file)


if __name__ == "__main__":
    main()

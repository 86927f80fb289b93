"""Measures every format and writes the table into docs/models.md: `python -m tests.models.conformance`."""

import logging
from pathlib import Path

import click
import torch

from tests.models.conformance.formats import FORMATS, measure_format
from tests.models.conformance.table import fill_page, render, render_row

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def main() -> None:
    logging.disable(logging.WARNING)  # open_clip's, of models that it fills with random weights
    torch.set_num_threads(1)
    agreements = {}
    for each in FORMATS:
        agreements[each.name] = found = measure_format(each)
        click.echo(f"{each.name}: {', '.join(render_row(each, found)[2:])}", err=True)
    PAGE.write_text(fill_page(PAGE.read_text("utf-8"), render(agreements, FORMATS)), "utf-8")


if __name__ == "__main__":
    main()

"""The commands `clip-ingest backup` and `clip-ingest restore`: their options and their help."""

from typing import Any

import click

from clip_vectorizer.cli_common import CommandMode, ExitCodeCommand
from clip_vectorizer.common_options import WEAVIATE_OPTIONS, weaviate_options
from clip_vectorizer.defaults import BACKUP_BACKENDS

BACKUP_HELP = """Back up collections of Weaviate, by its backup module: objects, vectors, index, tenants and settings.

NAME names the backup; without one it is made of the collection and the time. Without --collection everything that
clip-ingest and clip-classify stored is backed up. The labels and label sets of clip-classify are in every backup.

Weaviate goes on answering searches and taking images; what comes in after the start may be missing. Ctrl-C cancels the
backup.

\b
Examples:
  clip-ingest backup
  clip-ingest backup before-the-move --collection Image
  clip-ingest backup --backend s3
  clip-ingest backup --list

\b
Exit codes: 0 done; 1 Weaviate cannot do it, or failed; 2 usage, a name that
is taken, no such collection; 4 Weaviate unreachable; 130 interrupted
"""
RESTORE_HELP = """Restore collections from the backup NAME, with their model. `clip-ingest backup --list` lists backups.

Nothing is overwritten: if one of the collections exists, nothing is restored. Only the labels and label sets of
clip-classify may exist; then they are left as they are.

\b
Examples:
  clip-ingest restore before-the-move
  clip-ingest restore before-the-move --collection Image

\b
Exit codes: 0 done; 1 Weaviate cannot do it, or failed; 2 usage, no such
backup, a collection that exists; 4 Weaviate unreachable; 130 interrupted
"""

backend_option = click.option(
    "--backend",
    type=click.Choice(BACKUP_BACKENDS),
    show_default="the one that Weaviate has",
    help="Which backup module of Weaviate: where the files are.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a sentence or a table.")
RULES = (
    CommandMode("--list", ("--backend", "--json", *WEAVIATE_OPTIONS), "it lists what there is, and makes no backup"),
)


@click.command(cls=ExitCodeCommand, rules=RULES, help=BACKUP_HELP, short_help="Back up collections of Weaviate.")
@click.argument("name", required=False)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    show_default="all of this project",
    help="Collection to back up. Repeatable.",
)
@click.option("--list", "listed", is_flag=True, help="List the backups that there are.")
@backend_option
@json_option
@weaviate_options
def backup(listed: bool, **values: Any) -> None:
    from ingest.backup_command import list_backups, run_backup  # imports weaviate-client, which takes a second

    if listed:
        list_backups(values["as_json"], **{name: values[name] for name in values if name not in UNLISTED})
    else:
        run_backup(**values)


UNLISTED = ("as_json", "name", "collections")


@click.command(cls=ExitCodeCommand, help=RESTORE_HELP, short_help="Restore collections from a backup.")
@click.argument("name")
@click.option(
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    show_default="all in the backup",
    help="Collection to restore. Repeatable.",
)
@backend_option
@json_option
@weaviate_options
def restore(**values: Any) -> None:
    from ingest.backup_command import run_restore

    run_restore(**values)

"""What all commands share: one place turns our errors into a sentence on stderr and an exit code."""

import sys
from typing import Any, NoReturn

import click

from clip_vectorizer.errors import VectorizerError

INTERRUPTED = 130  # what a shell reports for a process ended by Ctrl-C


class FriendlyErrors(click.Command):
    """A click command that ends with our exit codes and never shows a stack trace for an error of ours.

    0 all in · 1 fatal · 2 usage · 3 some items failed · 4 Weaviate or sidecar unreachable · 5 model or schema mismatch
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VectorizerError as error:
            stop(f"error: {error}", error.exit_code)
        except BrokenPipeError:
            raise  # whoever read our output has seen enough; click ends in silence
        except OSError as error:  # no space left, a folder that cannot be written: the system's words name the file
            stop(f"error: {error}", 1)
        except KeyboardInterrupt:
            stop("interrupted", INTERRUPTED)


def stop(sentence: str, exit_code: int) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(exit_code)

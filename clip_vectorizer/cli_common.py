"""What all commands share: one place turns our errors into a sentence on stderr and an exit code."""

import _thread
import signal
import sys
import threading
from typing import Any, NoReturn

import click

from clip_vectorizer.entry_points import INTERRUPTED
from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.terminal import escape_text

INTERRUPT_RETRY_SECONDS = 0.05


class ExitCodeCommand(click.Command):
    """A click command that ends with our exit codes and never shows a stack trace for an error of ours.

    0 all in · 1 fatal · 2 usage · 3 some items failed · 4 Weaviate or sidecar unreachable · 5 model or schema mismatch
    """

    def invoke(self, ctx: click.Context) -> Any:
        interrupts = InterruptGuard()
        try:
            with interrupts:
                return super().invoke(ctx)
        except click.exceptions.Exit:
            if interrupts.swallowed:
                exit_with_error("interrupted", INTERRUPTED)
            raise
        except VectorizerError as error:
            exit_with_error(f"error: {error}", error.exit_code)
        except BrokenPipeError:
            raise  # whoever read our output has seen enough; click ends in silence
        except OSError as error:  # no space left, a folder that cannot be written: the system's words name the file
            exit_with_error(f"error: {error}", 1)
        except KeyboardInterrupt:
            exit_with_error("interrupted", INTERRUPTED)


class InterruptGuard:
    """Sees to it that a Ctrl-C ends the command, also one that falls into a callback from compiled code.

    There Python prints "Exception ignored" and goes on (seen in pydantic's validation, under weaviate-client): here it
    is raised once more a moment later, and at the latest when the command has ended.
    """

    def __init__(self) -> None:
        self.swallowed = False
        self._inside = False

    def __enter__(self) -> None:
        self._previous, self._hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
        if self._previous is signal.default_int_handler:  # not in a thread's or another command's hands
            signal.signal(signal.SIGINT, self._interrupt)
            sys.unraisablehook = self._unraisable
            self._inside = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._inside:
            self._inside = False
            signal.signal(signal.SIGINT, self._previous)
            sys.unraisablehook = self._hook
        if kind is None and self.swallowed:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> NoReturn:
        self.swallowed = True
        raise KeyboardInterrupt

    def _unraisable(self, ignored: Any) -> None:
        if ignored.exc_type is not KeyboardInterrupt:
            self._hook(ignored)
            return
        again = threading.Timer(INTERRUPT_RETRY_SECONDS, self._again)
        again.daemon = True
        again.start()

    def _again(self) -> None:
        if self._inside:
            _thread.interrupt_main()


def exit_with_error(sentence: str, exit_code: int) -> NoReturn:
    click.echo(escape_text(sentence), err=True)
    sys.exit(exit_code)

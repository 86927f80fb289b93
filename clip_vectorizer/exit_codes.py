"""How every command of this project ends. Errors carry their code as `exit_code` (errors.py)."""

FATAL = 1
USAGE = 2
SOME_FAILED = 3  # the others are done; each failure is named
INTERRUPTED = 130  # what a shell reports for a process ended by Ctrl-C

"""Executes the notebooks in this folder and stores them with their outputs. The kernel is the Python that runs it.

eval "$(clip-demo up)"
python examples/run_notebooks.py                           # all, in place
python examples/run_notebooks.py --into OUT a.ipynb        # some, each into the folder OUT
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

HERE = Path(__file__).parent
CELL_SECONDS = 300
QUIET = "--IPKernelApp.log_level=40"  # it would warn that loopback is not encrypted, and of its own end
PYTHON = {"display_name": "Python 3", "language": "python", "name": "python3"}


class ThisPython(AsyncKernelManager):
    """Kernels of the interpreter that runs this script, on loopback."""

    ip = "127.0.0.1"

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", QUIET]
        return KernelSpec(argv=command, language="python", display_name="Python 3")


def main() -> None:
    parser = argparse.ArgumentParser(description="Execute notebooks and store them with their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(HERE.glob("*.ipynb")))
    parser.add_argument("--into", type=Path, help="a folder; without it, in place")
    arguments = parser.parse_args()
    for file in arguments.notebooks:
        target = arguments.into / file.name if arguments.into else file
        nbformat.write(execute_notebook(file), target)


def execute_notebook(file: Path) -> nbformat.NotebookNode:
    """Raises CellExecutionError, which holds the cell and its traceback."""
    notebook = nbformat.read(file, as_version=4)
    where = {"metadata": {"path": str(HERE)}}
    client = NotebookClient(notebook, km=ThisPython(), timeout=CELL_SECONDS, record_timing=False, resources=where)
    client.execute(env=os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"})
    notebook.metadata = {"kernelspec": PYTHON, "language_info": {"name": "python"}}
    return notebook


if __name__ == "__main__":
    main()

"""Runs the notebook, and keeps what it shows: ``python execute.py``, with nbclient, ipykernel and matplotlib."""

import os
import pathlib

import nbclient
import nbformat

HERE = pathlib.Path(__file__).resolve().parent
NOTEBOOK = HERE / "from_script_to_table.ipynb"


def executed() -> nbformat.NotebookNode:
    """Return the notebook as it is when its cells have run, one after the other, in a new process."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the kernel's debugger would say that modules are frozen
    nbclient.NotebookClient(
        notebook,
        timeout=120,
        startup_timeout=120,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(HERE)}},
    ).execute()
    notebook.metadata.get("language_info", {}).pop("version", None)
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)

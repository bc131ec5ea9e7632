"""A model is collected on this machine, and what it saw is a table: no Kubernetes, no storage account, no root.

Run by ``make try``, in a virtual environment with requirements.txt. Does what a user would do. What it makes is in the
directory that it is given; run again, it adds to it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
import typing

import pandas
from sklearn.datasets import load_diabetes

from modeldata_analytics import NotFoundError, Store

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
DIABETES = REPOSITORY / "examples/diabetes"
SHOWN = ["$Timestamp", "$RequestId", "age", "bmi", "bp", "prediction"]


class Failed(Exception):
    """It can't go on."""


def main(directory: pathlib.Path) -> None:
    started = time.monotonic()
    if sys.platform != "linux":
        raise Failed(f"rows are collected on Linux, and this is {sys.platform}: there a script runs, uncollected")
    directory.mkdir(parents=True, exist_ok=True)
    collected = directory / "collected"

    title("A place for what is collected, in the place of a storage account")
    run("-m", "modeldata", "init", str(collected), "--local")
    before = len(table(collected))

    title("A model, and its script behind gunicorn with two workers")
    if not (directory / "model/ridge.pkl").exists():
        run(str(DIABETES / "train.py"), str(directory / "model"))
    rows = [list(map(float, row)) for row in load_diabetes(return_X_y=True)[0]]
    with server(directory) as port:
        asked = ask(port, rows)
        print(f"  {len(rows)} rows of scikit-learn's diabetes data, in {asked} requests, all answered")
    print("  the server has ended: what it had collected was sent before")

    title("The table: what the model was asked, and what it said, joined by $RequestId")
    print(f'  >>> Store("{os.path.relpath(collected)}/data").model("diabetes").table()')
    joined = table(collected)
    for path in sorted((collected / "data").rglob("data*.csv")):
        print(f"  {path.stat().st_size:>8} bytes  {path.relative_to(collected)}")
    print(joined[SHOWN].tail(5).to_string())
    if len(joined) - before != len(rows):
        raise Failed(f"{len(joined) - before} of {len(rows)} rows arrived")
    print(
        f"  ✓ {len(rows)} of {len(rows)} rows joined, each once" + (f"; {before} were there before" if before else "")
    )

    title(f"Done in {time.monotonic() - started:.0f} s. What to do next")
    print(
        f"""\
  the script, as it was written for Azure ML:  {DIABETES.relative_to(REPOSITORY)}/score.py
  your own model, and a storage account:       docs/collecting.md
  the table, in Python and from a shell:       docs/reading.md
  a real cluster on this machine:              make demo
  removes what this has made:                  rm -r {shlex.quote(str(directory))}"""
    )


def table(collected: pathlib.Path) -> pandas.DataFrame:
    """Return inputs and predictions, a row each."""
    try:
        return Store(collected / "data").model("diabetes").table().sort_values("$Timestamp", ignore_index=True)
    except NotFoundError:  # before the first run
        return pandas.DataFrame()


@contextlib.contextmanager
def server(directory: pathlib.Path) -> typing.Iterator[int]:
    """Serve the model; give the port. It has ended behind this."""
    log = directory / "server.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("w") as said:
        command = ["-m", "gunicorn", "--workers", "2", "--bind", f"fd://{listener.fileno()}", "serve:app"]
        show(*command)
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment(directory),
            cwd=HERE,
            pass_fds=[listener.fileno()],
            stdout=said,
            stderr=said,
        )
        port = listener.getsockname()[1]
    try:
        yield port
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"the server does not answer ({error}); it said:\n{log.read_text()}") from None
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(port: int, rows: list[list[float]]) -> int:
    """Send rows to the model, one to twenty a request; return how many requests that took."""
    count = 0
    while rows:
        size = random.randint(1, 20)
        some, rows = rows[:size], rows[size:]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/score", json.dumps({"data": some}))
            response = connection.getresponse()
            said = response.read()
            if response.status != 200 or len(json.loads(said)) != len(some):
                raise http.client.HTTPException(f"{response.status}: {said[:200]!r}")
        count += 1
    return count


def environment(directory: pathlib.Path) -> dict[str, str]:
    return {
        **os.environ,
        "AZUREML_MODEL_DIR": str(directory / "model"),
        "MODELDATA_DIR": str(directory / "collected"),
        "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY / "client", REPOSITORY / "client/azureml", DIABETES))),
    }


def run(*command: str) -> None:
    """Run what a user would type, and show it."""
    show(*command)
    done = subprocess.run(
        [sys.executable, *command], env=environment(pathlib.Path(".")), text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise Failed(f"{done.stdout}{done.stderr}".strip())
    for line in done.stdout.splitlines():
        print(f"    {line}" if line else "")


def show(*command: str) -> None:
    print("  $ " + shlex.join(["python", *command]))


def title(text: str) -> None:
    print(f"\n── {text}", flush=True)


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]).resolve())
    except Failed as failed:
        print(f"\nIt failed: {failed}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nInterrupted; the server has ended. make try begins anew.", file=sys.stderr)
        sys.exit(130)

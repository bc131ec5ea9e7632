"""The Sparks in which examples run: that of the tests, and the last one that has the WASB driver."""

from __future__ import annotations

import fcntl
import os
import pathlib
import subprocess
import sys
import typing
import venv

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "modeldata"
QUICKLY = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a JVM that does not run for long."""


class Spark(typing.NamedTuple):
    """A Python that has a Spark, and the packages of Maven Central that it needs for Azure."""

    python: pathlib.Path
    packages: str

    @property
    def options(self) -> dict[str, str]:
        """Options of a session by itself on this machine; jars are kept from one run to the next."""
        return {
            "spark.master": "local[2]",
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "2",
            "spark.driver.extraJavaOptions": QUICKLY,
            "spark.jars.packages": self.packages,
            "spark.jars.ivy": str(CACHE / "ivy"),
        }


def current() -> Spark:
    """Return the Spark of the tests, whose Hadoop is 3.5."""
    return Spark(pathlib.Path(sys.executable), "org.apache.hadoop:hadoop-azure:3.5.0")


def older() -> Spark:
    """Return Spark 3.5 with Hadoop 3.3, in an environment of its own: made once, of 370 MB."""
    home = CACHE / "spark-3.5.9"
    python, ready = home / "bin/python", home / "ready"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "spark.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            venv.create(home, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "pyspark==3.5.9"], check=True)
            ready.touch()
    return Spark(python, "org.apache.hadoop:hadoop-azure:3.3.4,io.delta:delta-spark_2.12:3.3.2")

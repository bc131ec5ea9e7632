"""localcluster is run as a directory, so its modules are found there and nowhere else."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "localcluster"))

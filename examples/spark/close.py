"""Closes days on a cluster: ``spark-submit … close.py STORE …`` with the arguments of ``modeldata close``."""

import sys

from modeldata_analytics.__main__ import main

sys.exit(main(["close", "--engine", "spark", *sys.argv[1:]]))

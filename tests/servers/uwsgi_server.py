"""uWSGI as a module that ``python -m`` runs."""

from __future__ import annotations

import sys

import pyuwsgi

pyuwsgi.run(sys.argv[1:])

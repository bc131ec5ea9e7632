"""The commands of ``modeldata``: one module each, with ``NAME``, ``HELP``, ``add(parser)`` and ``run(arguments)``."""

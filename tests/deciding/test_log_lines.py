from __future__ import annotations

import logging

from modeldata_operator.process import logs


def test_what_somebody_says_in_several_lines_is_one_in_the_log():
    denied = "denied the request:\r\n\nrule one\nforged INFO line"
    record = logging.LogRecord("operator", logging.WARNING, "", 0, "push failed pod=%s error=%s", ("a/b", denied), None)
    formatted = logs.OneLine().format(record)
    assert "\n" not in formatted
    assert formatted.endswith(r"push failed pod=a/b error=denied the request:\n\nrule one\nforged INFO line")

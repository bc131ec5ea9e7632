from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest

from modeldata_operator.process import logs


def test_what_somebody_says_in_several_lines_is_one_in_the_log():
    denied = "denied the request:\r\n\nrule one\nforged INFO line"
    record = logging.LogRecord("operator", logging.WARNING, "", 0, "push failed pod=%s error=%s", ("a/b", denied), None)
    formatted = logs.OneLine().format(record)
    assert "\n" not in formatted
    assert formatted.endswith(r"push failed pod=a/b error=denied the request:\n\nrule one\nforged INFO line")


def test_as_json_each_message_is_an_object_on_a_line_of_its_own():
    said = 'refused "pods"\nforged line'
    try:
        raise ValueError(said)
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("operator", logging.WARNING, "", 0, "failed pod=%s error=%s", ("a/b", said), error)
    line = logs.JsonLine().format(record)
    assert "\n" not in line
    parsed = json.loads(line)
    assert parsed.pop("traceback").startswith("Traceback")
    assert datetime.fromisoformat(parsed.pop("time")).timestamp() == pytest.approx(record.created, abs=0.002)
    message = f"failed pod=a/b error={said}"
    assert parsed == {"level": "WARNING", "logger": "operator", "message": message}

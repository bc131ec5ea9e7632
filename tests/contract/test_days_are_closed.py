"""The operator and whoever closes days meet in a command line and a report; the client says what is in a path."""

from __future__ import annotations

import json
import pathlib
import typing
from datetime import timedelta

import hypothesis
import jsonschema
import pytest
from hypothesis import strategies

from modeldata.encoding import paths
from modeldata_analytics.closing import closer, report
from modeldata_analytics.days import template
from modeldata_operator.api import closing, resources
from modeldata_operator.decide import closing_job

SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs/contract/closing.schema.json").read_text())
REPORT = {
    "version": 1,
    "closed": {"days": 31, "rows": 123456, "through": "2026-11-28"},
    "late": {"days": 1, "rows": 12},
    "pending": {"days": 2},
    "failed": [{"day": "churn/churn/10/inputs/2026/11/27", "reason": "Damaged", "message": "can't be read"}],
    "deleted": {"files": 3},
    "streams": [{"stream": "churn/churn/10/inputs", "through": "2026-11-28", "rows": 100}],
}
RUNNER = closing.Runner(template={}, labels={}, memory="1GB", threads=2, at_once=2, deadline=timedelta(hours=4))


def test_the_operator_reads_what_the_schema_allows() -> None:
    jsonschema.validate(REPORT, SCHEMA)
    read = closing.report(json.dumps(REPORT))
    assert read == closing.Report(
        through="2026-11-28",
        days=31,
        rows=123456,
        late_days=1,
        late_rows=12,
        pending_days=2,
        deleted_files=3,
        failed=(closing.FailedDay("churn/churn/10/inputs/2026/11/27", "Damaged", "can't be read"),),
        streams=(closing.StreamReport("churn/churn/10/inputs", "2026-11-28", 100),),
    )


def test_what_the_command_reports_is_what_the_operator_reads() -> None:
    day = template.Template().day("sub/rg/models/churn/churn/10/inputs/2026/11/28")
    assert day is not None
    summary = report.Summary()
    for outcome in (
        closer.Outcome(day, closer.State.CLOSED, rows=100, new=7, late=True, deleted=2),
        closer.Outcome(day, closer.State.OPEN),
        closer.Outcome(day, closer.State.FAILED, reason="Damaged", message="it is no manifest"),
    ):
        summary.add(outcome)
    summary.fail("", "Refused", "the credential")
    for each in (summary, report.Summary()):
        jsonschema.validate(json.loads(each.to_json()), SCHEMA, format_checker=jsonschema.FormatChecker())
    read = closing.report(summary.to_json())
    assert read is not None
    assert (read.days, read.rows, read.late_rows, read.pending_days, read.deleted_files) == (1, 100, 7, 1, 2)
    assert [(each.day, each.reason) for each in read.failed] == [(day.folder, "Damaged"), ("", "Refused")]
    assert closing.report(report.Summary().to_json()) is not None


def test_a_run_with_nothing_to_close_has_a_report_too() -> None:
    nothing: dict[str, typing.Any] = {
        **REPORT,
        "closed": {"days": 0, "rows": 0},
        "failed": [],
        "streams": [],
    }
    jsonschema.validate(nothing, SCHEMA)
    read = closing.report(json.dumps(nothing))
    assert read is not None
    assert (read.through, read.days) == (None, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({**REPORT, "version": 2}),
        json.dumps({**REPORT, "closed": {"days": -1}}),
        json.dumps({**REPORT, "closed": {"days": "many"}}),
        json.dumps({**REPORT, "closed": {"through": "yesterday"}}),
        json.dumps({**REPORT, "streams": {}}),
        json.dumps({**REPORT, "x": "x" * 4096}),
        "[" * 2000,
    ],
)
def test_what_is_no_report_counts_as_none(text: str) -> None:
    assert closing.report(text) is None


def test_what_tenants_wrote_is_cut_and_has_neither_lines_nor_a_signature() -> None:
    message = "https://a/b?sv=1&sig=c2VjcmV0&se=2\nnext\u2028line" + "x" * 1000
    read = closing.report(json.dumps({**REPORT, "failed": [{**REPORT["failed"][0], "message": message}]}))
    assert read is not None
    said = read.failed[0].message
    assert "c2VjcmV0" not in said
    assert "\n" not in said
    assert "\u2028" not in said
    assert len(said) <= closing.LONGEST_TEXT


@hypothesis.given(strategies.text(min_size=1, max_size=300))
def test_what_a_job_is_to_match_is_what_the_client_writes_into_the_path(text: str) -> None:
    assert closing_job.part(text) == paths.safe(text)


def test_the_command_line_is_the_contracts() -> None:
    spec = {
        "storage": {
            "endpoint": "https://account.blob.core.windows.net",
            "container": "rows",
            "credential": {"secretRef": {"name": "account"}},
            "path": "{namespace}/{workspace}/{model}/{designation}/{year}/{month}/{day}/{file}",
        },
        "workspace": {"name": "retail."},
        "webservice": "churn",
        "closing": {"formats": ["Parquet"], "delta": True, "deleteAfter": "720h"},
    }
    manifest = {"metadata": {"name": "churn", "namespace": "models"}, "spec": spec}
    collection = resources.collection(manifest)
    assert isinstance(collection, resources.DataCollection)
    storage = collection.storage.within("models")
    assert closing_job.arguments(collection, storage, "models", RUNNER) == (
        "close",
        "https://account.blob.core.windows.net/rows",
        "--path=models/{workspace}/{model}/{designation}/{year}/{month}/{day}/{file}",
        # As it stands in the path; webservice is none of this path's fields.
        f"--match=workspace={paths.safe('retail.')}",
        "--after=6h",
        "--format=Parquet",
        "--delta",
        "--delete-after=720h",
        "--sas-file=/var/run/modeldata/credential/sas",
        "--scratch=/scratch",
        "--memory=1GB",
        "--threads=2",
        "--report=/dev/termination-log",
    )

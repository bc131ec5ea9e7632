"""When a Job is due that closes days, whose turn it is, and what becomes of one that has ended."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import UserDelegationKey

from modeldata_operator import configuration
from modeldata_operator.access import closing as access
from modeldata_operator.access import credentials
from modeldata_operator.api import closing as api
from modeldata_operator.api import jobs, observed
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.observed import ClosingRun, ClosingStatus, Status
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import closing, closing_job, closing_told, status
from modeldata_operator.decide.closing import Next, Place, Wanted
from modeldata_operator.decide.closing_told import Seen
from modeldata_operator.decide.status import Finding

from .test_status_conditions import LATER, NOW, observe

RUNNER = api.Runner(
    template={
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "closing", "image": "x", "volumeMounts": [{"name": "scratch"}]}]},
    },
    labels={"part": "closing"},
    memory="1GB",
    threads=2,
    at_once=2,
    deadline=timedelta(hours=4),
)
PRESENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
REPORT = {
    "version": 1,
    "closed": {"days": 3, "rows": 30, "through": "2026-11-19"},
    "late": {"days": 0, "rows": 0},
    "pending": {"days": 1},
    "failed": [],
    "deleted": {"files": 0},
    "streams": [],
}


def moment(text):
    return datetime.fromisoformat(f"2026-11-{text}:00+00:00")


@pytest.fixture
def collection(build):
    return build.collection(spec={"closing": {"after": "6h"}})


@pytest.fixture
def wanted(collection):
    return Wanted(collection, closing_job.arguments(collection, collection.storage, "models", RUNNER))


def job_of(wanted, *, created="20T07:00", ended="", failed=None, tries=0, place=None, deleting=False, **changes):
    """A Job as the operator made it, and as the Job controller says it is."""
    collection = wanted.collection
    body = closing_job.job(
        place or Place(collection.key, collection.key.namespace),
        collection,
        wanted.arguments,
        RUNNER,
        namespace="modeldata-system",
        seconds=3600,
        tries=tries,
        now=PRESENT,
    )
    body["metadata"] |= {"uid": "uid-job", "creationTimestamp": moment(created).isoformat(), **changes}
    if deleting:
        body["metadata"]["deletionTimestamp"] = NOW
    kind = "Failed" if failed is not None else "Complete"
    condition = {"type": kind, "status": "True", "reason": failed or "", "message": "why"}
    if ended:
        body["status"] = {"conditions": [{**condition, "lastTransitionTime": moment(ended).isoformat()}]}
    return jobs.job(body)


def step(job, wanted, now, *, gone=False, last=None):
    return closing.next_step(job, wanted, gone=gone, last=last, now=moment(now))


@pytest.mark.parametrize(
    ("now", "due"),
    [("20T05:59", "19T06:00"), ("20T06:00", "20T06:00"), ("20T23:59", "20T06:00"), ("21T00:01", "20T06:00")],
)
def test_a_day_comes_due_so_long_after_it_has_ended_in_utc(now, due):
    assert closing.came_due(timedelta(hours=6), moment(now)) == moment(due)
    # Wherever the clock that is asked stands.
    elsewhere = moment(now).astimezone(datetime.strptime("+0930", "%z").tzinfo)
    assert closing.came_due(timedelta(hours=6), elsewhere) == moment(due)


def test_what_may_wait_for_days_comes_due_days_later():
    assert closing.came_due(timedelta(hours=72), moment("20T12:00")) == moment("20T00:00")
    assert closing.came_due(timedelta(hours=30), moment("20T05:00")) == moment("19T06:00")


def test_a_job_is_made_once_for_each_day_that_comes_due(wanted):
    assert step(None, wanted, "20T12:00") is Next.START
    done = job_of(wanted, created="20T07:00", ended="20T08:00")
    for now in ("20T09:00", "21T05:59"):
        assert step(done, wanted, now) is Next.NOTHING
    assert step(done, wanted, "21T06:00") is Next.START


def test_one_that_began_before_a_day_came_due_has_not_closed_it(wanted):
    assert step(job_of(wanted, created="20T05:00", ended="20T07:00"), wanted, "20T08:00") is Next.START


def test_where_the_job_is_gone_the_status_says_when_it_was(wanted):
    assert step(None, wanted, "20T12:00", last=moment("20T08:00")) is Next.NOTHING
    assert step(None, wanted, "21T06:00", last=moment("20T08:00")) is Next.START
    # Whoever writes a time to come there only gets the usual.
    assert step(None, wanted, "20T12:00", last=moment("30T00:00")) is Next.START


def test_one_that_failed_is_made_again_ever_later(wanted):
    for tries, minutes in ((0, 10), (1, 30), (2, 60), (3, 120), (4, 240), (40, 240)):
        failed = job_of(wanted, ended="20T08:00", failed="BackoffLimitExceeded", tries=tries)
        due = moment("20T08:00") + timedelta(minutes=minutes)
        decided = [
            closing.next_step(failed, wanted, gone=False, last=None, now=now)
            for now in (due - timedelta(seconds=1), due)
        ]
        assert decided == [Next.NOTHING, Next.START]


def test_a_persons_change_is_a_reason_to_try_at_once(build, wanted):
    failed = job_of(wanted, ended="20T08:00", failed="PodFailurePolicy", tries=4)
    changed = build.collection(metadata={"generation": 4}, spec={"closing": {"after": "6h"}})
    assert step(failed, Wanted(changed, wanted.arguments), "20T08:01") is Next.START


def test_one_that_runs_is_ended_where_it_is_not_wanted_or_wanted_otherwise(build, wanted):
    running = job_of(wanted)
    assert step(running, wanted, "21T12:00") is Next.NOTHING
    assert step(running, None, "20T12:00") is Next.NOTHING  # as while a credential can't be had for a moment
    assert step(running, None, "20T12:00", gone=True) is Next.END
    other = Wanted(wanted.collection, (*wanted.arguments, "--delete-after=720h"))
    assert step(running, other, "20T12:00") is Next.END
    again = build.collection(metadata={"uid": "another"}, spec={"closing": {"after": "6h"}})
    assert step(running, Wanted(again, wanted.arguments), "20T12:00") is Next.END


def test_one_that_has_ended_goes_with_who_asked_for_it(wanted):
    done = job_of(wanted, ended="20T08:00")
    assert step(done, None, "20T12:00", gone=True) is Next.CLEAR
    assert step(done, None, "21T12:00") is Next.NOTHING
    assert step(job_of(wanted, ended="20T08:00", deleting=True), wanted, "21T12:00") is Next.NOTHING


def place(namespace, name="churn"):
    return Place(ObjectKey(namespace, name), namespace)


def running(wanted, *places, ended="", created="20T07:00"):
    found = []
    for each in places:
        body = job_of(wanted, created=created, ended=ended, place=each)
        found.append(jobs.Job(**{f: getattr(body, f) for f in body.__slots__} | {"collection": each.collection}))
    return found


def test_no_more_jobs_run_than_there_is_room_for(wanted):
    due = [place(name) for name in "abcd"]
    assert closing.turns(due, [], at_once=2) == due[:2]
    assert closing.turns(due, running(wanted, place("x")), at_once=2) == due[:1]
    assert closing.turns(due, running(wanted, place("x"), place("y")), at_once=2) == []
    assert closing.turns(due, running(wanted, place("x"), ended="20T08:00"), at_once=2) == due[:2]


def test_no_namespace_has_all_the_room_unless_there_is_room_for_one_only(wanted):
    many = [place("a", f"c{number}") for number in range(5)]
    assert len(closing.turns(many, [], at_once=3)) == 2
    assert len(closing.turns(many, [], at_once=1)) == 1
    assert closing.turns([*many, place("b")], running(wanted, place("a", "x")), at_once=2) == [place("b")]


def test_whose_last_one_was_the_longest_ago_goes_first(wanted):
    found = [
        *running(wanted, place("a"), ended="19T08:00", created="19T07:00"),
        *running(wanted, place("b"), ended="18T08:00", created="18T07:00"),
    ]
    due = [place("a"), place("b"), place("c")]
    assert closing.turns(due, found, at_once=1) == [place("c")]
    assert closing.turns(due[:2], found, at_once=1) == [place("b")]


def test_everybody_has_a_turn_in_the_end(wanted):
    # One namespace asks for twenty all the time, another for one.
    waiting = {place("eager", f"c{number}") for number in range(20)} | {place("modest")}
    found = []
    for hour in itertools.count(1):
        (first,) = closing.turns(waiting, found, at_once=1)
        created, ended = f"{hour // 24 + 1:02}T{hour % 24:02}:00", f"{hour // 24 + 1:02}T{hour % 24:02}:30"
        found = [each for each in found if each.collection != first.collection]
        found += running(wanted, first, created=created, ended=ended)
        if first.namespace == "modest":
            break
    assert hour <= 2


def test_a_jobs_name_is_its_places_own_and_holds_nothing_of_a_tenants():
    names = {closing_job.name(Place(ObjectKey(a, b), c)) for a in "xy" for b in "xy" for c in "xy"}
    assert len(names) == 8
    assert closing_job.name(Place(ObjectKey("a/b", "c"), "d")) != closing_job.name(Place(ObjectKey("a", "b/c"), "d."))
    long = closing_job.name(Place(ObjectKey("n" * 63, "c" * 52), "n" * 63))
    # With the suffix of its Secret, a label's length is not reached either.
    assert len(long) + len("-1795000000") <= 63


def test_no_variable_of_the_container_is_filled_into_an_argument(build):
    odd = build.collection(
        spec={
            "closing": {},
            "webservice": "$(HOME)",
            "storage": {"path": "$(HOME)/$$/{webservice}/{designation}/{file}"},
        }
    )
    arguments = closing_job.arguments(odd, odd.storage, "models", RUNNER)
    assert "--path=$$(HOME)/$$$$/{webservice}/{designation}/{file}" in arguments
    assert all("$" not in each.replace("$$", "") for each in arguments)


def test_a_jobs_pod_has_what_the_chart_says_and_its_own_secret(collection, wanted):
    body = closing_job.job(
        Place(collection.key, "models"),
        collection,
        wanted.arguments,
        RUNNER,
        namespace="modeldata-system",
        seconds=3600,
        tries=3,
        now=PRESENT,
    )
    template = body["spec"]["template"]
    name = body["metadata"]["name"]
    assert template["metadata"]["labels"] == {"a": "b", "modeldata.dev/closing": name}
    (container,) = template["spec"]["containers"]
    assert [mount["name"] for mount in container["volumeMounts"]] == ["modeldata-credential", "scratch"]
    (volume,) = template["spec"]["volumes"]
    assert volume["secret"]["secretName"] == f"{name}-{int(PRESENT.timestamp())}"
    assert body["spec"]["activeDeadlineSeconds"] == 3600
    # What was given is passed on, and not changed.
    assert "volumes" not in RUNNER.template["spec"]


def pod(exit_code=None, report=None, *, reason="", waiting="", owner="uid-job"):
    message = json.dumps(report) if report is not None else ""
    return jobs.JobPod(owner, NOW, exit_code, reason, message, waiting)


def told(seen, previous=None):
    return closing_told.told(seen, previous=previous, namespace="modeldata-system")


def test_what_a_good_run_found_is_told(wanted):
    done = job_of(wanted, ended="20T08:00")
    found = told([Seen(place("models"), done, pod(0, REPORT))])
    assert found.ready is True
    assert found.finding == Finding(
        Reason.CLOSED, "days through 2026-11-19 are closed: 3 days, 30 rows; 1 day not due yet"
    )
    assert found.status.through == "2026-11-19"
    assert found.status.last_run == "2026-11-20T08:00:00Z"


RUN = ClosingRun("models", "2026-11-19T08:00:00Z", "2026-11-18", 2, 20, 0, 0, 1)


def test_what_is_closed_stays_told_while_the_next_one_runs_or_fails(wanted):
    before = ClosingStatus("job", (RUN,))
    runs = told([Seen(place("models"), job_of(wanted))], before)
    assert (runs.ready, runs.finding.reason, runs.status.runs) == (True, Reason.CLOSING, (RUN,))
    failed = job_of(wanted, ended="20T08:00", failed="PodFailurePolicy")
    found = told([Seen(place("models"), failed, pod(3))], before)
    assert (found.ready, found.finding.reason, found.status.runs) == (False, Reason.STORAGE_REFUSED, (RUN,))
    # One that is tried again after a failure has not mended it yet.
    assert told([Seen(place("models"), job_of(wanted, tries=1))], before).ready is False


def test_a_report_that_was_lost_with_its_node_costs_no_count(wanted):
    found = told([Seen(place("models"), job_of(wanted, ended="20T08:00"), None)], ClosingStatus("job", (RUN,)))
    assert found.ready is True
    assert (found.status.through, found.status.last_run) == ("2026-11-18", "2026-11-20T08:00:00Z")


@pytest.mark.parametrize(
    ("failed", "ended", "said"),
    [
        ("DeadlineExceeded", pod(), "closing.deadlineSeconds"),
        ("PodFailurePolicy", pod(2), "closing.image is of another version"),
        ("BackoffLimitExceeded", pod(137, reason="OOMKilled"), "closing.memory"),
        ("BackoffLimitExceeded", pod(reason="Evicted"), "closing.scratch"),
        ("BackoffLimitExceeded", None, "BackoffLimitExceeded: why"),
        ("PodFailurePolicy", pod(1, {**REPORT, "failed": [{"day": "d", "reason": "R", "message": "m"}]}), "d: R: m"),
        ("PodFailurePolicy", pod(1), "failed: PodFailurePolicy: why"),
    ],
)
def test_why_one_failed_is_told_with_what_to_do(wanted, failed, ended, said):
    job = job_of(wanted, ended="20T08:00", failed=failed)
    found = told([Seen(place("models"), job, ended)])
    assert (found.ready, found.finding.reason) == (False, Reason.CLOSING_FAILED)
    assert said in found.finding.message
    assert "it is tried again at 2026-11-20T08:10:00Z" in found.finding.message


def test_of_many_namespaces_the_one_in_trouble_is_named(wanted):
    places = [Place(wanted.collection.key, name) for name in "abc"]
    done = [
        Seen(each, job_of(wanted, place=each, ended="20T08:00", uid=f"u{each.namespace}"), pod(0, REPORT))
        for each in places
    ]
    all_well = told(done)
    assert all_well.finding.message.startswith("in 3 namespaces days through 2026-11-19 are closed: 9 days, 90 rows")
    trouble = Seen(places[1], blocked=Finding(Reason.CLOSING_NOT_GRANTED, "no"))
    found = told([done[0], trouble, done[2]], all_well.status)
    assert (found.ready, found.finding) == (False, Finding(Reason.CLOSING_NOT_GRANTED, "of namespace b: no"))
    # What is closed there stays so.
    assert [run.namespace for run in found.status.runs] == ["a", "b", "c"]


def test_a_pod_that_does_not_start_is_told_of(wanted):
    found = told([Seen(place("models"), job_of(wanted), pod(waiting="ImagePullBackOff: no such image"))])
    assert "its pod waits: ImagePullBackOff: no such image" in found.finding.message


def test_days_are_no_part_of_ready_and_what_was_told_stays_until_somebody_has_looked(wanted):
    failing = told(
        [Seen(place("models"), job_of(wanted, ended="20T08:00", failed="x"), None)], ClosingStatus("j", (RUN,))
    )
    first = status.from_observation(observe(closes=True, closing=failing), previous=Status(), now=NOW)
    found = {condition.type: condition for condition in first.conditions}
    assert (found["Ready"].status, found["Stalled"].status) == ("True", "False")
    assert (found["DaysClosed"].status, found["DaysClosed"].reason) == ("False", "ClosingFailed")
    # Another controller leads, and has not looked yet.
    assert status.from_observation(observe(closes=True), previous=first, now=LATER) == first
    # As the API server gives it back.
    assert observed.status(status.serialized(first)) == first
    ended = status.from_observation(observe(), previous=first, now=LATER)
    assert ended.closing is None
    assert "DaysClosed" not in {condition.type for condition in ended.conditions}
    # A merge patch takes it away only so.
    assert status.serialized(ended)["closing"] is None


def test_how_jobs_are_made_is_read_from_the_environment():
    given = {
        "template": {"spec": {"containers": [{"name": "closing"}]}},
        "memory": "1GB",
        "threads": 2,
        "atOnce": 2,
        "deadlineSeconds": 3600,
    }
    config = configuration.from_environment({"MODELDATA_CLOSING": json.dumps(given)})
    assert config.closing is not None
    assert config.closing.deadline == timedelta(hours=1)
    assert configuration.from_environment({}).closing is None


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"template": {"spec": {"containers": []}}}', '{"template": {"spec": {"containers": [{}]}}}'],
)
def test_what_makes_no_job_ends_the_process_with_its_name(text):
    with pytest.raises(SystemExit, match="MODELDATA_CLOSING: "):
        configuration.from_environment({"MODELDATA_CLOSING": text})


def test_a_job_that_is_not_what_its_labels_say_is_none_of_ours(wanted):
    assert closing_job.is_ours(job_of(wanted))
    assert not closing_job.is_ours(job_of(wanted, name="other"))
    with pytest.raises((KeyError, ValueError)):
        jobs.job({"metadata": {"name": "x", "labels": {}, "annotations": {}}, "spec": {"template": {"spec": {}}}})


def given_sas(*, permissions="racwdl", ends=None, **fields):
    end = f"&se={credentials.written(ends)}" if ends else ""
    rest = "".join(f"&{name}={value}" for name, value in fields.items())
    return credentials.GivenSas(f"sv=2024-11-04&sp={permissions}&sig=x{end}{rest or '&sr=c'}")


DELEGATED = credentials.Delegation(
    "account", UserDelegationKey(), PRESENT - timedelta(minutes=15), PRESENT + timedelta(hours=3, seconds=0.5)
)


@pytest.mark.parametrize(
    ("source", "most", "left"),
    [
        (credentials.Account("account", "key"), 4, 4),
        (DELEGATED, 4, 3),
        (DELEGATED, 2, 2),
        (given_sas(ends=PRESENT + timedelta(hours=1)), 4, 1),
        (given_sas(), 4, 4),
        (given_sas(permissions="rwl", ss="b", srt="co"), 4, 4),
    ],
)
def test_a_job_takes_no_longer_than_what_signs_its_sas(source, most, left):
    found = access.lifetime(source, most=timedelta(hours=most), deletes=False, now=PRESENT)
    assert found == timedelta(hours=left)


@pytest.mark.parametrize(
    ("source", "deletes", "reason", "said"),
    [
        (given_sas(permissions="rac"), False, Reason.SAS_INSUFFICIENT, "sp=rac, and closing days needs rwl"),
        (given_sas(permissions="rwl"), True, Reason.SAS_INSUFFICIENT, "needs rwdl"),
        (given_sas(ss="b", srt="o"), False, Reason.SAS_INSUFFICIENT, "srt=co"),
        (given_sas(ends=PRESENT + timedelta(minutes=9)), False, Reason.SAS_EXPIRES_SOON, "too soon"),
    ],
)
def test_a_sas_that_does_not_do_is_told_before_a_job_is_made(source, deletes, reason, said):
    with pytest.raises(credentials.CredentialError, match=said) as refused:
        access.lifetime(source, most=timedelta(hours=4), deletes=deletes, now=PRESENT)
    assert refused.value.reason is reason

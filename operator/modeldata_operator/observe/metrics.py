"""What a monitoring system sees of the operator: Prometheus metrics, on a port of their own.

Everything here can be read by whoever reaches the port: names of namespaces and collections, counts and times.
"""

import contextlib
import importlib.metadata
import logging
import socket
import socketserver
import threading
import time
import wsgiref.simple_server
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import listening
from ..api.keys import ObjectKey
from ..api.observed import PodCounts, Status

logger = logging.getLogger(__name__)

REGISTRY = prometheus_client.CollectorRegistry()
"""Of this process. Not the library's default one: that is full of the interpreter's own numbers."""

RECONCILES = prometheus_client.Counter(
    "modeldata_operator_reconciles",
    "Reconciles of a DataCollection, by result: done, or failed and tried again.",
    ["result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS = prometheus_client.Histogram(
    "modeldata_operator_reconcile_seconds",
    "How long a reconcile took, requests to the API server included.",
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0),
    registry=REGISTRY,
)
PUSHES = prometheus_client.Counter(
    "modeldata_operator_settings_pushes",
    "Settings written to running pods, by result: taken, or gone with its pod.",
    ["result"],
    registry=REGISTRY,
)
RESTARTS = prometheus_client.Counter(
    "modeldata_operator_restarts",
    "Workloads restarted so that their pods are collected.",
    registry=REGISTRY,
)
EVICTIONS = prometheus_client.Counter(
    "modeldata_operator_evictions",
    "Pods evicted because the webhook had missed them, so that those in their place are collected.",
    registry=REGISTRY,
)
ROTATIONS = prometheus_client.Counter(
    "modeldata_operator_credential_rotations",
    "New SAS written for the pods of a namespace.",
    registry=REGISTRY,
)
CLOSING_JOBS = prometheus_client.Counter(
    "modeldata_operator_closing_jobs",
    "Jobs that close days: made, and those that succeeded or failed.",
    ["result"],
    registry=REGISTRY,
)
CREDENTIAL_FAILURES = prometheus_client.Counter(
    "modeldata_operator_credential_failures",
    "Looks at a credential or its storage that found something wrong, and keys that could not be renewed, by reason.",
    ["reason"],
    registry=REGISTRY,
)
WATCH_SILENCE = prometheus_client.Gauge(
    "modeldata_operator_watch_silence_seconds",
    "For how long the most silent watch has heard nothing sensible from the API server.",
    registry=REGISTRY,
)
LEADER = prometheus_client.Gauge(
    "modeldata_operator_leader",
    "Whether this controller leads (1), or stands by (0). Of an installation's controllers one leads.",
    registry=REGISTRY,
)
LEADER_TRANSITIONS = prometheus_client.Counter(
    "modeldata_operator_leader_transitions",
    "Times that this controller began to lead, or ended: given back when it was told to stop, or lost.",
    ["to"],
    registry=REGISTRY,
)
WRITES_HELD = prometheus_client.Counter(
    "modeldata_operator_api_writes_held",
    "Writes to the API server that had to wait: for their turn, for the rate, or because it asked to be left alone.",
    registry=REGISTRY,
)
WRITES_REFUSED = prometheus_client.Counter(
    "modeldata_operator_api_writes_refused",
    "Writes that the API server refused, by kind of object and status, which is none where it did not answer.",
    ["resource", "status"],
    registry=REGISTRY,
)
ADMISSIONS = prometheus_client.Counter(
    "modeldata_operator_admissions",
    "New pods, by what became of them: injected, refused (they can't carry it), untouched, or failed (ours to mend).",
    ["result"],
    registry=REGISTRY,
)
TURNED_AWAY = prometheus_client.Counter(
    "modeldata_operator_admissions_turned_away",
    "What the webhook had no room for, by reason: connections, bytes held at once, size of one review, or too slow.",
    ["reason"],
    registry=REGISTRY,
)
ADMISSION_SECONDS = prometheus_client.Histogram(
    "modeldata_operator_admission_seconds",
    "How long the webhook kept a new pod waiting, without the way there and back.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 5.0),
    registry=REGISTRY,
)

QUEUE_DEPTH = prometheus_client.Gauge(
    "modeldata_operator_queue_depth",
    "What waits to be looked at by the controller: DataCollections to reconcile, Deployments to check.",
    ["queue"],
    registry=REGISTRY,
)
API_ERRORS = prometheus_client.Counter(
    "modeldata_operator_api_errors",
    "Requests to the API server without success, by the status of its answer, or unreachable. Of no concern are "
    "404, something is not there, and 409, somebody was faster.",
    ["code"],
    registry=REGISTRY,
)
CERTIFICATE_EXPIRY = prometheus_client.Gauge(
    "modeldata_operator_webhook_certificate_expiry_timestamp_seconds",
    "When the certificate ends that the webhook serves with, in seconds since the epoch, by the name of its Secret.",
    ["secret"],
    registry=REGISTRY,
)
BUILD = prometheus_client.Gauge(
    "modeldata_operator_build_info",
    "1, with the version and which of the two processes this is.",
    ["version", "process"],
    registry=REGISTRY,
)


class Collections(Collector):
    """What each DataCollection's last reconcile found. Those that are deleted are shown no more."""

    def __init__(self) -> None:
        self._found: dict[ObjectKey, Status] = {}
        self._lock = threading.Lock()  # scrapes come on a thread of their own

    def show(self, key: ObjectKey, found: Status) -> None:
        """Take in what was found of a collection."""
        with self._lock:
            self._found[key] = found

    def forget(self, key: ObjectKey) -> None:
        """Show a deleted collection no more."""
        with self._lock:
            self._found.pop(key, None)

    def clear(self) -> None:
        """Show nothing: somebody else does."""
        with self._lock:
            self._found.clear()

    def collect(self) -> Iterable[Metric]:
        """Answer a scrape."""
        with self._lock:
            found = list(self._found.items())
        labels = ["namespace", "collection"]
        pods = GaugeMetricFamily(
            "modeldata_operator_pods",
            "Pods that a DataCollection serves: matched, injected, and current, those that obey its present settings.",
            labels=[*labels, "state"],
        )
        expiries = GaugeMetricFamily(
            "modeldata_operator_sas_expiry_timestamp_seconds",
            "When the SAS in the pods of a DataCollection ends, in seconds since the epoch.",
            labels=labels,
        )
        conditions = GaugeMetricFamily(
            "modeldata_operator_condition",
            "Whether a condition of a DataCollection is true (1) or not (0).",
            labels=[*labels, "type"],
        )
        closed = GaugeMetricFamily(
            "modeldata_operator_closed_rows",
            "Rows of a DataCollection in days that are closed.",
            labels=labels,
        )
        days = GaugeMetricFamily(
            "modeldata_operator_closed_days",
            "Days of a DataCollection's streams: closed, and pending, which are not due yet.",
            labels=[*labels, "state"],
        )
        late = GaugeMetricFamily(
            "modeldata_operator_late_rows",
            "Rows that came after their day was closed, and were taken in by the last run.",
            labels=labels,
        )
        through = GaugeMetricFamily(
            "modeldata_operator_closed_through_timestamp_seconds",
            "When the last day ended through which a DataCollection's rows are closed, in seconds since the epoch.",
            labels=labels,
        )
        good = GaugeMetricFamily(
            "modeldata_operator_days_closed_timestamp_seconds",
            "When all days of a DataCollection had been closed that were due, in seconds since the epoch; of one that "
            "never came to that, since when it does not.",
            labels=labels,
        )
        for key, status in found:
            where = [key.namespace, key.name]
            counts = status.pods or PodCounts()
            pods.add_metric([*where, "matched"], counts.matched)
            pods.add_metric([*where, "injected"], counts.injected)
            pods.add_metric([*where, "current"], counts.current)
            if status.credential.expires_at:
                expiries.add_metric(where, datetime.fromisoformat(status.credential.expires_at).timestamp())
            for condition in status.conditions:
                conditions.add_metric([*where, condition.type], float(condition.status == "True"))
            moment = _days_closed(status)
            if moment is not None:
                good.add_metric(where, moment.timestamp())
            if status.closing is None:
                continue
            runs = status.closing.runs
            closed.add_metric(where, sum(run.rows for run in runs))
            days.add_metric([*where, "closed"], sum(run.days for run in runs))
            days.add_metric([*where, "pending"], sum(run.pending_days for run in runs))
            late.add_metric(where, sum(run.late_rows for run in runs))
            if status.closing.through is not None:
                ended = datetime.fromisoformat(f"{status.closing.through}T00:00:00+00:00") + timedelta(days=1)
                through.add_metric(where, ended.timestamp())
        return [pods, expiries, conditions, closed, days, late, through, good]


def _days_closed(status: Status) -> datetime | None:
    """Say since when days could be late: since the last good run, or since closing has been in vain."""
    condition = next((each for each in status.conditions if each.type == "DaysClosed"), None)
    if status.closing is None or condition is None or condition.reason == "ClosingSuspended":
        return None  # as somebody wants it
    return datetime.fromisoformat(status.closing.last_run or condition.last_transition_time)


COLLECTIONS = Collections()
REGISTRY.register(COLLECTIONS)


@contextlib.contextmanager
def reconciling() -> Iterator[None]:
    """Count and time one reconcile."""
    started = time.perf_counter()
    try:
        yield
    except Exception:
        RECONCILES.labels("failed").inc()
        raise
    else:
        RECONCILES.labels("done").inc()
    finally:
        RECONCILE_SECONDS.observe(time.perf_counter() - started)


def show_build(process: str) -> None:
    """Show which version this is, of which process."""
    BUILD.labels(importlib.metadata.version("modeldata-operator"), process).set(1)


def show_expiry(secret: str, expires: datetime | None) -> None:
    """Show until when the webhook's certificate is believed, if that is known."""
    if expires is not None:
        CERTIFICATE_EXPIRY.labels(secret).set(expires.timestamp())


def serve(port: int) -> None:
    """Answer scrapes on this port, on a thread of their own: one that takes long keeps no reconcile waiting.

    Where the port is taken, the log says so, and all else goes on: metrics must not cost a collection.
    """
    try:
        server = _Server(listening.everywhere(port))
    except OSError as error:
        logger.error("no metrics: port %d of MODELDATA_METRICS_PORT can't be had: %s", port, error.strerror)
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """Prometheus' client has such a server, which listens at one family's addresses."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Quiet, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = "", listener.getsockname()[1]
        self.setup_environ()
        self.set_app(prometheus_client.make_wsgi_app(REGISTRY))


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    """A line in the log for each scrape would be most of the log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

"""What a monitoring system sees of the operator: Prometheus metrics, on a port of their own.

Everything here can be read by whoever reaches the port: names of namespaces and collections, counts and times.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from wsgiref.simple_server import WSGIServer

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .resources import ObjectKey, PodCounts

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
    "Deployments restarted so that their pods are collected.",
    registry=REGISTRY,
)
ROTATIONS = prometheus_client.Counter(
    "modeldata_operator_credential_rotations",
    "Looks at a credential that wrote a new one, by result: rotated, or why it could not.",
    ["result"],
    registry=REGISTRY,
)
ADMISSIONS = prometheus_client.Counter(
    "modeldata_operator_admissions",
    "New pods, by what became of them: injected, refused (they can't carry it), untouched, or failed (ours to mend).",
    ["result"],
    registry=REGISTRY,
)
ADMISSION_SECONDS = prometheus_client.Histogram(
    "modeldata_operator_admission_seconds",
    "How long the webhook kept a new pod waiting, without the way there and back.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 5.0),
    registry=REGISTRY,
)


class Collections(Collector):
    """What each DataCollection's last reconcile found. Those that are deleted are shown no more."""

    def __init__(self) -> None:
        self._pods: dict[ObjectKey, PodCounts] = {}
        self._expiries: dict[ObjectKey, datetime] = {}
        self._conditions: dict[ObjectKey, Mapping[str, bool]] = {}
        self._lock = threading.Lock()  # scrapes come on a thread of their own

    def show(self, key: ObjectKey, *, pods: PodCounts, expiry: datetime | None, conditions: Mapping[str, bool]) -> None:
        """Take in what was found.

        Args:
            key: the collection.
            pods: how many are matched, injected, current.
            expiry: when the SAS that its pods have ends; None if they have none.
            conditions: whether each condition is true.

        """
        with self._lock:
            self._pods[key], self._conditions[key] = pods, conditions
            if expiry is None:
                self._expiries.pop(key, None)
            else:
                self._expiries[key] = expiry

    def forget(self, key: ObjectKey) -> None:
        """Show a deleted collection no more."""
        with self._lock:
            for known in (self._pods, self._expiries, self._conditions):
                known.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """Answer a scrape."""
        with self._lock:
            return list(self._families())

    def _families(self) -> Iterator[Metric]:
        labels = ["namespace", "collection"]
        pods = GaugeMetricFamily(
            "modeldata_operator_pods",
            "Pods that a DataCollection serves: matched, injected, and current, those that obey its present settings.",
            labels=[*labels, "state"],
        )
        for key, counts in self._pods.items():
            for state, count in (
                ("matched", counts.matched),
                ("injected", counts.injected),
                ("current", counts.current),
            ):
                pods.add_metric([key.namespace, key.name, state], count)
        yield pods
        expiries = GaugeMetricFamily(
            "modeldata_operator_sas_expiry_timestamp_seconds",
            "When the SAS in the pods of a DataCollection ends, in seconds since the epoch.",
            labels=labels,
        )
        for key, moment in self._expiries.items():
            expiries.add_metric([key.namespace, key.name], moment.astimezone(UTC).timestamp())
        yield expiries
        conditions = GaugeMetricFamily(
            "modeldata_operator_condition",
            "Whether a condition of a DataCollection is true (1) or not (0).",
            labels=[*labels, "type"],
        )
        for key, held in self._conditions.items():
            for kind, value in held.items():
                conditions.add_metric([key.namespace, key.name, kind], float(value))
        yield conditions


COLLECTIONS = Collections()
REGISTRY.register(COLLECTIONS)


def serve(port: int) -> WSGIServer:
    """Answer scrapes on this port, on a thread of their own: one that takes long keeps no reconcile waiting.

    Raises:
        OSError: the port is taken.

    """
    server, _ = prometheus_client.start_http_server(port, registry=REGISTRY)
    logger.info("metrics port=%d", port)
    return server

"""Prometheus metrics, where the model has ``prometheus_client``: it is no dependency, and is never imported for it.

The shipper's thread looks four times a second whether the model has imported it, before or after this package, and then
shows the metrics in its default registry. So there is no import hook, and the model's threads do nothing for it.

Prometheus' multiprocess mode (``PROMETHEUS_MULTIPROC_DIR``, for gunicorn) shows only metrics of prometheus_client's own
kinds, whose values lie in files that all processes share. There the same thread copies the numbers into such metrics.
"""

from __future__ import annotations

import os
import sys
import time
import types
import typing

from ..threads import forking
from . import causes, counters, statistics

if typing.TYPE_CHECKING:
    import prometheus_client

    from .. import settings

    class Source(typing.Protocol):
        """A pipeline, as far as its numbers are shown."""

        pid: int
        counters: counters.Counters
        live: settings.LiveSettings

        def statistics(self, now: float) -> statistics.Statistics:
            """Return what it did."""

    Registry = prometheus_client.CollectorRegistry
    Family = prometheus_client.Metric
else:
    Registry = Family = Source = object


class Number(typing.NamedTuple):
    """One metric."""

    name: str
    """With ``_total`` for a counter, whose values only grow; without for a gauge."""
    text: str
    values: dict[str, float]
    """By the label's value, "" where it has none."""
    label: str = ""

    @property
    def grows(self) -> bool:
        """Whether it is a counter."""
        return self.name.endswith("_total")


def numbers(seen: statistics.Statistics, *, enabled: bool, generation: int) -> list[Number]:
    """Return what is shown. Every reason for a drop is there from the start, so that its first rows are a growth."""
    dropped: dict[str, float] = {reason.value: 0.0 for reason in counters.Drop}
    dropped.update(seen.dropped)
    refusals: dict[str, float] = {cause.value: 0.0 for cause in causes.Cause}
    refusals.update(seen.refusals)
    since = {} if seen.since_delivery is None else {"": seen.since_delivery}
    return [
        Number("modeldata_rows_accepted_total", "Rows that this process put into the spool.", {"": seen.accepted}),
        Number(
            "modeldata_rows_delivered_total",
            "Rows that this process brought to Blob Storage, other processes' rows among them.",
            {"": seen.delivered},
        ),
        Number("modeldata_rows_dropped_total", "Rows lost by this process, by reason.", dropped, "reason"),
        Number(
            "modeldata_storage_refusals_total",
            "Times that storage refused rows, or did not answer, by cause; they wait.",
            refusals,
            "cause",
        ),
        Number("modeldata_requests_sampled_out_total", "Requests that sampling left out.", {"": seen.sampled_out}),
        Number(
            "modeldata_spool_waiting_bytes",
            "Bytes in the pod's spool that are not delivered.",
            {"": seen.waiting_bytes},
        ),
        Number(
            "modeldata_spool_set_aside_bytes",
            "Bytes in the pod's spool that were set aside, as storage refuses them and takes others.",
            {"": seen.set_aside_bytes},
        ),
        Number(
            "modeldata_oldest_waiting_row_age_seconds",
            "Age of the oldest row in the pod's spool; 0 where none waits.",
            {"": seen.oldest_waiting_age},
        ),
        Number(
            "modeldata_seconds_since_last_delivery",
            "Seconds since this process last delivered; absent before the first time.",
            since,
        ),
        Number(
            "modeldata_unmatched_redactions",
            "Features that are to be redacted and that no row in this pod had so far.",
            {"": len(seen.unmatched_redactions)},
        ),
        Number("modeldata_enabled", "1 if the settings switch collection on.", {"": float(enabled)}),
        Number("modeldata_settings_generation", "The settings' generation.", {"": generation}),
    ]


class Collector:
    """Reads this process's numbers at each scrape; what ``prometheus_client`` calls a custom collector.

    A forked child inherits it with the registry, and shows its own numbers or, before it collects, none.
    """

    def __init__(self, client: types.ModuleType) -> None:
        self._client = client

    def describe(self) -> list[Family]:
        """Return the metrics without values."""
        return [self._family(each) for each in _now(None)]

    def collect(self) -> list[Family]:
        """Return the metrics of this process."""
        return [self._family(each) for each in _now(_followed())]

    def _family(self, number: Number) -> Family:
        core = self._client.metrics_core
        made = core.CounterMetricFamily if number.grows else core.GaugeMetricFamily
        family: Family = made(number.name, number.text, labels=[number.label] if number.label else [])
        for label, value in number.values.items():
            family.add_metric([label] if number.label else [], value)  # type: ignore[attr-defined]
        return family


class _Mirror:
    """Copies the numbers into metrics of prometheus_client's own kinds, for the multiprocess mode."""

    def __init__(self, client: types.ModuleType) -> None:
        """Make the metrics, in no registry.

        Raises:
            ValueError: prometheus_client is older than 0.18 and does not know gauges whose latest value counts.

        """
        self._client = client
        # Gauges first: they are what an old version refuses, and counters that stand still would mislead.
        self._metrics = {each.name: self._metric(each) for each in sorted(_now(None), key=lambda each: each.grows)}
        self._of: Source | None = None
        self._added: dict[tuple[str, str], float] = {}

    def copy(self, ours: Source) -> None:
        """Bring the metrics up to what the pipeline says now."""
        if ours is not self._of:  # a forked child: its file of values begins at 0, and so do its counters
            self._of, self._added = ours, {}
        for number in _now(ours):
            for label, value in number.values.items():
                metric = self._metrics[number.name]
                metric = metric.labels(label) if number.label else metric
                if not number.grows:
                    metric.set(value)
                    continue
                metric.inc(value - self._added.get((number.name, label), 0.0))
                self._added[number.name, label] = value

    def _metric(self, number: Number) -> typing.Any:
        labels = [number.label] if number.label else []
        if number.grows:
            return self._client.Counter(number.name, number.text, labels, registry=None)
        # What waits is the same for all processes of the pod: the latest look is right.
        return self._client.Gauge(number.name, number.text, labels, registry=None, multiprocess_mode="mostrecent")


_pipeline: Source | None = None
_mirror: _Mirror | None = None
_registered: list[Registry] = []
_given_up = False


def register(registry: Registry | None = None) -> None:
    """Show the metrics in a registry; in prometheus_client's default one if none is given.

    The default registry needs no call, it is for registries of the model's own. Calling it again does nothing. In
    Prometheus' multiprocess mode it does nothing either: a ``MultiProcessCollector`` has the metrics by itself.

    Raises:
        ImportError: there is no prometheus_client.
        ValueError: the registry has metrics of these names already.

    """
    import prometheus_client

    if not _is_multiprocess(prometheus_client):
        _register(prometheus_client, registry if registry is not None else prometheus_client.REGISTRY)


def follow(ours: Source) -> None:
    """Show a pipeline's numbers from now on, if the model has imported prometheus_client by now.

    Called again and again by the shipper's thread. It never raises: without metrics, delivery must go on.
    """
    global _pipeline, _mirror, _given_up
    _pipeline = ours
    client = sys.modules.get("prometheus_client")
    if client is None or _given_up or not hasattr(client, "REGISTRY"):  # still being imported
        return
    try:
        if not _is_multiprocess(client):
            _register(client, client.REGISTRY)
            return
        gate = forking.gate.here()
        if gate.acquire(blocking=False):  # as in _register: all values in files share one lock
            try:
                if _mirror is None:
                    _mirror = _Mirror(client)
                _mirror.copy(ours)
            finally:
                gate.release()
    except (ValueError, TypeError, AttributeError, OSError) as error:
        _given_up = True
        ours.counters.complain("metrics", "no Prometheus metrics, all else goes on: %s", error)


def _register(client: types.ModuleType, registry: Registry) -> None:
    if any(each is registry for each in _registered):
        return
    # The gate is closed while this process forks: a child must not inherit the registry with its lock held.
    with forking.gate.here():
        if not any(each is registry for each in _registered):  # by another thread meanwhile
            registry.register(Collector(client))
            _registered.append(registry)


def _is_multiprocess(client: types.ModuleType) -> bool:
    return client.values.ValueClass is not client.values.MutexValue


def _followed() -> Source | None:
    return _pipeline if _pipeline is not None and _pipeline.pid == os.getpid() else None


def _now(ours: Source | None) -> list[Number]:
    if ours is None:
        return [each._replace(values={}) for each in numbers(statistics.Statistics(), enabled=False, generation=0)]
    current = ours.live.current()
    return numbers(ours.statistics(time.time()), enabled=current.enabled, generation=current.generation)

"""The metrics are a contract: names, labels, and that labels are bounded."""

import re

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from infrastructure import metrics

LABELS_ALLOWED = {
    "change", "check", "code", "kind", "method", "outcome", "pool", "projection", "queue", "reason",
    "result", "role", "route", "scope", "service", "status", "tool", "what",
}  # fmt: skip


def ours() -> list[Counter | Gauge | Histogram]:
    return [m for m in vars(metrics).values() if isinstance(m, Counter | Gauge | Histogram)]


def test_every_metric_has_our_prefix_a_meaning_and_known_labels() -> None:
    assert len(ours()) > 50
    for metric in ours():
        assert re.fullmatch(r"magictoolbox_[a-z0-9_]+", metric._name), metric._name
        assert len(metric._documentation) > 10, metric._name
        assert set(metric._labelnames) <= LABELS_ALLOWED, metric._name


def test_units_stand_last() -> None:
    for metric in ours():
        if isinstance(metric, Histogram):
            assert metric._name.endswith(("_seconds", "_events", "_bytes")), metric._name


def test_the_exposition_can_be_parsed_and_names_every_metric() -> None:
    families = {
        family.name for family in text_string_to_metric_families(metrics.exposition().decode())
    }

    assert {metric._name for metric in ours()} <= families
    assert "process_resident_memory_bytes" in families


def test_a_bounded_label_calls_the_many_other() -> None:
    label = metrics.BoundedLabel(limit=2)

    assert [label.of(name) for name in ("a", "b", "c", "a", "d")] == [
        "a",
        "b",
        "other",
        "a",
        "other",
    ]

"""The dashboard and the alert rules in contrib/ ask for metrics and labels that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from aioclustersql.node import Role
from aioclustersql.observe.metrics import CLUSTER, NODE, Kind, Metric

CONTRIB = Path(__file__).parents[2] / "contrib"
DASHBOARD = json.loads((CONTRIB / "grafana-dashboard.json").read_text())
ALERTS = (CONTRIB / "prometheus-alerts.yml").read_text()


def sample_names(metric: Metric) -> set[str]:  # type: ignore[type-arg]
    suffixes = {Kind.COUNTER: ["_total"], Kind.HISTOGRAM: ["_bucket", "_count", "_sum"]}.get(metric.kind, [""])
    return {metric.prometheus + suffix for suffix in suffixes}


SAMPLES = {name for metrics in (CLUSTER, NODE) for metric in metrics for name in sample_names(metric)}
LABELS = {"cluster", "node", "le", "instance", "job", *(metric.label for metric in NODE if metric.label)}


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def asked(text: str) -> set[str]:
    return set(re.findall(r"\baioclustersql_\w+", text))


def test_the_dashboard_asks_for_metrics_that_there_are():
    found = {name for expression in expressions() for name in asked(expression)}
    assert len(found) > 15
    assert found <= SAMPLES
    assert asked(json.dumps(DASHBOARD["templating"])) <= SAMPLES


def test_the_alerts_ask_for_metrics_that_there_are():
    found = asked(ALERTS)
    assert len(found) > 8
    assert found <= SAMPLES


def test_labels_are_those_that_there_are():
    for text in (*expressions(), ALERTS):
        for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", text):
            assert {label.strip() for label in group.split(",")} <= LABELS
    assert set(re.findall(r"\$labels\.(\w+)", ALERTS)) <= LABELS


def test_words_of_labels_are_those_that_there_are():
    [roles] = re.findall(r'role=~"([^"]*)"', ALERTS)
    assert set(roles.split("|")) <= set(Role)


def test_panels_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells

"""docs/metrics.md and the dashboard name the metrics that there are, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric

from mitm_balancer.ops.metrics import Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `(balancer_\w+)` \| (\w+) \| ([^|]*)\| (.+) \|$", re.MULTILINE)

HISTOGRAM_ENDS = ("_bucket", "_sum", "_count")


def families() -> dict[str, Metric]:
    """Of the registry, by the name that a page shows."""
    found = Metrics().registry.collect()
    return {f"{family.name}_total" if family.type == "counter" else family.name: family for family in found}


def labels(family: Metric) -> list[str]:
    """As the metric was declared."""
    metrics = Metrics()
    for collector in metrics.registry._collector_to_names:
        if getattr(collector, "_name", None) == family.name:
            return list(collector._labelnames)  # type: ignore[attr-defined]
    return list(getattr(family, "_labelnames", ()))


def test_the_page_has_every_metric_with_its_kind_and_labels() -> None:
    told = {name: (kind, [word for word in re.split(r",? ", words.strip()) if word]) for name, kind, words, _ in rows()}

    assert told == {name: (family.type, labels(family)) for name, family in families().items()}


def rows() -> list[tuple[str, str, str, str]]:
    return ROW.findall((DOCS / "metrics.md").read_text())


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    used = set(re.findall(r"\bbalancer_\w+", " ".join(expressions(dashboard))))

    plain = {re.sub(rf"({'|'.join(HISTOGRAM_ENDS)})$", "", name) for name in used}

    assert plain == set(families())


def expressions(value: Any) -> Iterator[str]:
    """Every query of a dashboard."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("expr", "query") and isinstance(inner, str):
                yield inner
            else:
                yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def test_labels_of_the_dashboard_exist() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    known = {label for family in families().values() for label in labels(family)} | {"le"}

    for text in expressions(dashboard):
        grouped = [word for group in re.findall(r"by \(([^)]*)\)", text) for word in group.split(", ")]
        selected = re.findall(r"(\w+)(?:=~|!=|=)\"", text)
        assert {*grouped, *selected} <= known, text


def test_alerts_of_the_page_name_metrics_that_exist() -> None:
    text = (DOCS / "metrics.md").read_text()

    assert set(re.findall(r"expr: .*?(balancer_\w+)", text)) <= set(families())


def test_panels_do_not_lie_on_each_other() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells

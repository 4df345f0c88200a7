"""docs/audit.md says what the code says: every event type, every field, every notice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mitm_balancer.ops.events import COMMON, DECISIONS, MEANINGS, EventType
from mitm_balancer.ops.notices import TOLD

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "audit.md").read_text()
CHANGES = [kind for kind in EventType if kind not in DECISIONS]


def test_every_type_has_a_meaning() -> None:
    assert set(MEANINGS) == set(EventType)


def test_the_page_names_every_type_and_no_other() -> None:
    steps = re.findall(r"^### `(\w+)`$", DOC, re.MULTILINE)
    changes = re.findall(r"^\| `(\w+)` \|.*\|.*\|$", DOC.split("## Changes of state")[1], re.MULTILINE)

    assert sorted([*steps, *changes]) == sorted(kind.value for kind in EventType)


@pytest.mark.parametrize("name", COMMON)
def test_every_common_field_is_told(name: str) -> None:
    assert f"| `{name}` | {COMMON[name]} |" in DOC


@pytest.mark.parametrize("kind", sorted(DECISIONS))
def test_the_section_of_a_step_has_its_fields_and_no_other(kind: EventType) -> None:
    section = DOC.split(f"### `{kind}`")[1].split("##")[0]

    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE) == list(MEANINGS[kind].fields.items())
    assert MEANINGS[kind].text[1:] in section


@pytest.mark.parametrize("kind", CHANGES)
def test_the_row_of_a_change_has_its_fields_and_no_other(kind: EventType) -> None:
    notice = " (a [notice](#notices))" if kind in TOLD else ""
    fields = "; ".join(f"`{name}`: {text}" for name, text in MEANINGS[kind].fields.items())

    assert f"| `{kind}` | {MEANINGS[kind].text}{notice} | {fields} |" in DOC


def test_events_are_named_in_one_place_only() -> None:
    """A type that is spelt out elsewhere would not change with it. (Metrics have such names, too.)"""
    names = {kind.value for kind in EventType if "_" in kind.value}
    package = ROOT / "addon" / "mitm_balancer"
    found = {
        (str(path.relative_to(package)), name)
        for path in package.rglob("*.py")
        if str(path.relative_to(package)) not in ("ops/events.py", "ops/metrics.py")
        for name in names
        if f'"{name}"' in path.read_text()
    }

    assert found == set()

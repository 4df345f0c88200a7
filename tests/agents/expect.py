"""Was it as it must be? Judged from what the agent showed and what the provider saw."""

from __future__ import annotations

import re
from typing import Any

from scenarios import Scenario

from agents import Agent

WORDS = re.compile(r"\b[ab]:\d")
"""Of the fake provider's answers: account, number."""
LEAVES_WITHIN = 2.0
"""Seconds from the agent's death to the provider's seeing it go."""


def unmet(agent: Agent, scenario: Scenario, result: dict[str, Any]) -> list[str]:
    """What went otherwise, in words; empty when all is well."""
    records = result["records"]
    found = [f"a turn went out as {record['label']}" for record in records if record["label"] not in ("a", "b")]
    attempts = sum(1 for record in records if record["status"] != 426)
    most = dict(agent.more).get(scenario.name, scenario.attempts)
    if attempts > most:
        found.append(f"{attempts} attempts, {most} expected")
    if scenario.killed:
        return found + _left(result)
    return found + _ended(agent, scenario, result)


def _ended(agent: Agent, scenario: Scenario, result: dict[str, Any]) -> list[str]:
    if result["code"] is None:
        return [] if scenario.name in agent.waits else [f"did not end in {scenario.limit:.0f} s"]
    said = any(WORDS.search(line) for _, stream, line in result["lines"] if stream == "out")
    served = said and result["code"] == 0
    if scenario.served and not served and scenario.name not in agent.loses:
        return [f"not served: exit {result['code']}"]
    if not scenario.served and served:
        return ["served, but nobody could"]
    return []


def _left(result: dict[str, Any]) -> list[str]:
    if result["code"] is None or result["killed_at"] is None or not result["records"]:
        return ["was not answered, so it was not killed in its answer"]
    gone = result["records"][-1]["gone_at"]
    if gone is None:
        return ["the provider never saw it leave"]
    late = gone - result["killed_at"]
    return [f"the provider saw it leave after {late:.1f} s"] if late > LEAVES_WITHIN else []

"""Settings of commands over the configuration."""

from typing import Any

import pytest

from mitm_balancer.config import Config, MatrixEntry, Pin, parse
from mitm_balancer.operations import overrides

CONFIG = parse(
    """\
version: 1
priority: {strategy: drain, providers: [{provider: anthropic}]}
accounts:
- {provider: anthropic, alias: a, credential: x}
- {provider: anthropic, alias: b, credential: y, priority: 3}
""",
    "c.yaml",
)


def test_without_settings_it_is_the_configuration() -> None:
    assert overrides.apply(CONFIG, {}) == CONFIG
    assert overrides.told(CONFIG, {}) == []


def test_each_setting_counts_over_the_configuration() -> None:
    settings = {
        "balancing": False,
        "strategy": "headroom",
        "matrix": [{"provider": "openai", "model": "gpt-*", "enabled": False}, {"provider": "anthropic"}],
        "order": {"anthropic/b": -1, "anthropic/gone": 5},
    }

    counts = overrides.apply(CONFIG, settings)

    assert counts.balancing is False
    assert counts.priority.strategy == "headroom"
    assert counts.priority.providers == (MatrixEntry("openai", "gpt-*", False), MatrixEntry("anthropic"))
    assert [(spec.alias, spec.priority) for spec in counts.accounts] == [("a", 0), ("b", -1)]
    assert overrides.told(CONFIG, settings) == [
        "balancing is switched off",
        "the strategy is headroom",
        "the providers have another order",
        "moved in the order: anthropic/b",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"balancing": "no"},
        {"strategy": "magic"},
        {"strategy": 7},
        {"matrix": {"provider": "openai"}},
        {"order": ["anthropic/a"]},
        {"order": {"anthropic/a": "first", "anthropic/b": True}},
        {"unknown": 1},
    ],
)
def test_nonsense_is_passed_over(settings: dict[str, Any]) -> None:
    assert overrides.apply(CONFIG, settings) == CONFIG


def test_bad_rows_of_the_matrix_do_not_take_the_good_ones_with_them() -> None:
    counts = overrides.apply(Config(), {"matrix": [7, {"model": "x"}, {"provider": "openai", "model": 3}]})

    assert counts.priority.providers == (MatrixEntry("openai"),)


def test_pins_of_commands_come_before_those_of_the_file() -> None:
    config = parse("priority: {pins: [{account: p/file, model: '*'}]}", "c")
    rows = [
        {"account": "p/a", "model": "m*"},
        {"account": "p/b"},
        {"model": "m"},
        7,
        {"account": "p/c", "session": "s"},
    ]
    counts = overrides.apply(config, {"pins": rows})
    assert counts.priority.pins == (Pin("p/a", "m*"), Pin("p/c", "", "s"), Pin("p/file", "*"))
    assert overrides.told(config, {"pins": rows}) == ["there are more pins"]


def test_a_model_by_glob_survives_the_store() -> None:
    counts = overrides.apply(Config(), {"matrix": [{"provider": "zai", "model": {"*haiku*": "glm-air", "*": "glm"}}]})
    assert counts.priority.providers == (MatrixEntry("zai", (("*haiku*", "glm-air"), ("*", "glm"))),)

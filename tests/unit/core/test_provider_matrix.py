"""The priority matrix as a table: who may stand in, in which order, and what is asked of it."""

from __future__ import annotations

import pytest

from mitm_balancer.core.matrix import Matrix, Rename, Row, renamed


@pytest.mark.parametrize(
    ("rename", "model", "sent"),
    [
        (None, "claude-x", "claude-x"),
        (None, "", None),
        ("glm", "claude-x", "glm"),
        ((("*haiku*", "air"), ("*", "glm")), "claude-haiku-4", "air"),
        ((("*haiku*", "air"), ("*", "glm")), "claude-opus-4", "glm"),
        ((("*haiku*", "air"),), "claude-opus-4", None),
        ((("*haiku*", "air"),), "", None),
    ],
)
def test_what_is_asked_of_it(rename: Rename, model: str, sent: str | None) -> None:
    assert renamed(rename, model) == sent


def test_who_may_stand_in() -> None:
    matrix = Matrix((Row("zai"), Row("anthropic"), Row("kimi", enabled=False), Row("deepseek")))
    assert [row.provider for row in matrix.others("anthropic")] == ["zai", "deepseek"]
    assert [row.provider for row in matrix.others("openai")] == ["zai", "anthropic", "deepseek"]
    assert [matrix.serves_itself(name) for name in ("anthropic", "kimi", "openai")] == [True, False, True]
    assert [matrix.names(name) for name in ("kimi", "openai")] == [True, False]


def test_only_strict_puts_others_first() -> None:
    rows = (Row("zai"), Row("anthropic"), Row("deepseek"))
    for across in ("return", "stay"):
        assert not any(Matrix(rows, across).leads(row, "anthropic") for row in rows)  # type: ignore[arg-type]
    strict = Matrix(rows, "strict")
    assert [strict.leads(row, "anthropic") for row in rows] == [True, False, False]
    assert not strict.leads(rows[0], "openai"), "a client's provider that is in no row has no place to be above"

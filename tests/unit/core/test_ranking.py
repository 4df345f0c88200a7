"""The sorted list against `sorted`, and the journal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.changes import KEPT, Changes
from mitm_balancer.core.ranking import Key, Ranking

KEYS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda key: (float(key[0]), float(key[1])))


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | KEYS), max_size=60), KEYS)
def test_it_is_always_sorted(steps: list[tuple[int, Key | None]], start: Key) -> None:
    """None takes a number out; whatever was put last counts, and walking from a key goes round."""
    ranking, model = Ranking(), {}
    for number, key in steps:
        if key is None:
            ranking.drop(number)
            model.pop(number, None)
        else:
            ranking.put(number, key)
            model[number] = key
        expected = sorted((key, number) for number, key in model.items())
        assert list(ranking.rows()) == expected
        assert len(ranking) == len(model)
        assert all((number in ranking) == (number in model) for number in range(10))
    assert list(ranking.rows(start)) == [r for r in expected_or(model) if r[0] >= start] + [
        r for r in expected_or(model) if r[0] < start
    ]


def expected_or(model: dict[int, Key]) -> list[tuple[Key, int]]:
    return sorted((key, number) for number, key in model.items())


def test_a_reader_gets_what_it_has_not_seen() -> None:
    """Repeated names too; nothing twice."""
    changes = Changes()
    changes.note("a")
    position = changes.position
    changes.note("b")
    changes.note("b")
    assert changes.since(position) == ["b", "b"]
    assert changes.since(changes.position) == []


def test_a_reader_far_behind_is_told_so() -> None:
    """None, never a part that looks like the whole."""
    changes = Changes()
    for n in range(KEPT + 1):
        changes.note(str(n))
    assert changes.since(0) is None
    assert changes.since(KEPT // 2) == [str(n) for n in range(KEPT // 2, KEPT + 1)]
    assert changes.position == KEPT + 1

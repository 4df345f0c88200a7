"""What was refused is remembered per session, and not for ever."""

from __future__ import annotations

from mitm_balancer.core.refusals import PARTS, SESSIONS, Refusals


def test_it_adds_up() -> None:
    refusals = Refusals()
    assert refusals.find("s") == frozenset()
    refusals.note("s", frozenset({b"1"}))
    refusals.note("s", frozenset({b"2"}))
    assert refusals.find("s") == {b"1", b"2"}
    assert refusals.find("t") == frozenset()


def test_it_is_bounded() -> None:
    refusals = Refusals()
    refusals.note("kept", frozenset({b"1"}))
    for number in range(SESSIONS - 1):
        refusals.note(str(number), frozenset({b"1"}))
    assert refusals.find("kept")
    refusals.note("one more", frozenset({b"1"}))
    assert not refusals.find("0")
    assert refusals.find("kept")
    refusals.note("kept", frozenset(str(number).encode() for number in range(PARTS + 1)))
    assert not refusals.find("kept"), "too many: a refusal tells anew"

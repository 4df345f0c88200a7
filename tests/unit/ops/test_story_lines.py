"""The story of a request: short, in its order, and complete."""

from __future__ import annotations

import pytest
from recorded import AT, record, tried

from mitm_balancer.ops.story import seconds, size, story

WORDS = {"reason": "rate_limit_error", "message": "slow down"}
LIMITED = tried("anthropic/work", "RateLimited", wait=700.0, head=0.08, seconds=0.081, **WORDS)
SERVED = tried("anthropic/spare", because="redispatch", connect=0.1, head=0.64, first_event=1.2, seconds=1.85)


def told(*attempts: dict[str, object], **more: object) -> list[str]:
    """All but the first line, whose time depends on where we are."""
    head, *rest = story(record(*attempts, **more))
    assert head.startswith("request aaaabbbbcccc   ") and head.endswith("POST api.anthropic.com/v1/messages")
    return rest


def test_a_failover() -> None:
    more = {
        "session": "9c1f02ab", "bytes_in": 48_300, "bytes_out": 12_400, "seconds": 8.31, "queued_seconds": 0.4,
        "usage": {"input": 81_200, "output": 350, "cache_read": 80_000},
        "passed_over": [{"account": "anthropic/third", "reason": "usage limit", "back_in": 7500.0}],
        "switch": {"from": "anthropic/work", "to": "anthropic/spare", "why": "rate limited", "cold_tokens": 84_000},
    }  # fmt: skip

    assert told(LIMITED, SERVED, **more) == [
        "  anthropic, claude-opus-4-5, streaming, session 9c1f02ab, 48 kB sent",
        "  passed over anthropic/third: usage limit, back in 2 h 05 min",
        "  1. anthropic/work (first): 429 RateLimited, rate_limit_error, come back in 12 min, not billed"
        "   81 ms (head 80 ms)",
        '     "slow down"',
        "  2. anthropic/spare (redispatch): 200 Success   1.85 s (connect 0.10 s, head 0.64 s, first event 1.20 s)",
        "  waited 0.40 s for a free slot",
        "  the session moved from anthropic/work to anthropic/spare (rate limited): about 84,000 tokens that were"
        " cached there had to be read anew",
        "  anthropic/spare answered 200, complete: 12 kB in 8.31 s, the first byte after 0.60 s",
        "  81,200 tokens in (80,000 of them from the cache), 350 out",
    ]


def test_nobody_could_serve() -> None:
    *_, end = told(account="none", status=429, stopped="every account is cooling", bytes_out=294, seconds=0.002)

    assert end == (
        "  mitm-balancer itself answered 429 (every account is cooling), complete: 294 bytes in 2 ms, "
        "the first byte after 0.60 s"
    )


def test_the_clients_own_credential() -> None:
    *_, end = told(account="client", stopped="no account can serve this", note="no account can serve this")

    assert end.startswith("  the client's own credential answered 200 (no account can serve this), complete: ")


def test_a_client_that_left() -> None:
    left = tried("anthropic/work", "", because="stays", billed="maybe", reason="cancelled", seconds=3.0)
    del left["status"]
    data = record(left, ended="cancelled by the client", bytes_out=0, seconds=3.1)
    del data["account"], data["status"], data["head_seconds"]

    assert story(data)[-2:] == [
        "  1. anthropic/work (stays): no verdict, cancelled, may be billed   3.00 s",
        "  nobody answered, cancelled by the client: 0 bytes in 3.10 s",
    ]


def test_what_may_be_billed_twice() -> None:
    unsure = tried("a/b", "TransportFailure", reason="head", billed="maybe", may_be_billed_twice=True, status=None)

    assert "TransportFailure, head, may be billed twice" in "\n".join(told(unsure, SERVED))
    assert "TransportFailure, head, may be billed   " in "\n".join(told(unsure)), "it was not sent again"


def test_no_control_character_reaches_a_terminal() -> None:
    evil = tried("a/b", "RequestFault", message="\x1b]0;owned\x07 and\r\nmore", reason="\x1b[31m")

    assert all(line.isprintable() for line in told(evil, model="m\x1b[2J"))


def test_an_empty_record_is_told_too() -> None:
    assert len(story({})) == 2
    assert story({"at": AT, "id": "x", "passed_over": None, "attempts": None})[-1] == (
        "  nobody answered, still running: 0 bytes in 0 ms"
    )


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1234, "1.2 kB"),
        (48_300, "48 kB"),
        (999_400, "999 kB"),
        (2_100_000, "2.1 MB"),
    ],
)
def test_sizes(count: float, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(("value", "shown"), [(0, "0 ms"), (0.0841, "84 ms"), (0.1, "0.10 s"), (12.346, "12.35 s")])
def test_seconds(value: float, shown: str) -> None:
    assert seconds(value) == shown

"""What each account did last, out of the records of requests."""

from __future__ import annotations

from typing import Any

import pytest

from mitm_balancer.proxy.activity import LONGEST_MESSAGE, RECORDS_KEPT, Activity


def record(*attempts: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"attempts": [{"account": name, "verdict": verdict, **more} for name, verdict in attempts]}


@pytest.fixture
def activity() -> Activity:
    times = iter(range(100, 10_000))
    return Activity(clock=lambda: float(next(times)))


def test_the_last_use_and_the_last_error_are_kept_and_failures_counted(activity: Activity) -> None:
    activity.noted("1", record(("a/x", "RateLimited"), status=429, reason="limit", message="m" * 999))
    activity.noted("2", record(("a/x", "TransportFailure"), ("a/y", "Success")))

    x, y = activity.told("a/x"), activity.told("a/y")
    assert (x["failures"], x["failed"], x["served"], x["last_used"]) == (2, 2, 0, None)
    assert x["last_error"] == {
        "at": 101.0, "verdict": "TransportFailure", "reason": "", "message": "", "status": None,
    }  # fmt: skip
    assert (y["failures"], y["served"], y["last_used"], y["last_error"]) == (0, 1, 102.0, None)

    activity.noted("3", record(("a/x", "Success")))
    x = activity.told("a/x")
    assert (x["failures"], x["failed"], x["last_used"]) == (0, 2, 103.0)
    assert x["last_error"]["verdict"] == "TransportFailure", "it is still what went wrong last"
    assert activity.told("nobody") == {}


def test_a_long_message_is_cut(activity: Activity) -> None:
    activity.noted("1", record(("a/x", "RateLimited"), message="m" * 999))
    assert len(activity.told("a/x")["last_error"]["message"]) == LONGEST_MESSAGE


def test_records_are_found_by_id_its_beginning_the_flow_and_last(activity: Activity) -> None:
    first, second = record() | {"flow": "flow-1"}, record()
    activity.noted("aaaa1111", first)
    activity.noted("aaaa2222", second)
    assert activity.record("aaaa1111") is first
    assert activity.record("aaaa") is second, "the newest that begins so"
    assert activity.record("flow-1") is first
    assert activity.record("last") is second
    assert activity.record("bbbb") is None
    assert activity.record("") is None
    assert Activity().record("last") is None


def test_only_the_newest_records_are_kept(activity: Activity) -> None:
    for number in range(RECORDS_KEPT + 5):
        activity.noted(f"r{number:04}", record())
    assert len(activity.records) == RECORDS_KEPT
    assert activity.record("r0004") is None and activity.record("r0005") is not None


def test_what_an_earlier_process_left_is_taken_as_far_as_it_makes_sense(activity: Activity) -> None:
    error = {"at": 1.0, "verdict": "RateLimited"}
    activity.restore({"a/x": {"last_used": 5, "last_error": error, "failures": 3, "served": 9}, "a/y": 7, "a/z": {}})
    assert activity.told("a/x") | {"served": 0} == {
        "last_used": 5.0, "failures": 3, "served": 0, "failed": 0, "last_error": error,
    }  # fmt: skip
    assert activity.told("a/x")["served"] == 0, "counts are of this process"
    assert activity.told("a/y") == {}

"""Notices: what is told, how often, and what a sender that fails does to the rest."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mitm_balancer.ops.events import Event, EventType
from mitm_balancer.ops.notices import TOLD, NoticeError, Notices, command, document

AT = 1_790_000_000.0
SWITCH = Event(
    EventType.FAILOVER_PERFORMED,
    AT,
    "anthropic/spare",
    "anthropic/work is rate limited (back in 12 min): switching to spare",
    {"previous": "anthropic/work", "wait_s": 720.0, "request_id": "aaaabbbbcccc"},
)


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_a_document_is_short_json_with_a_text() -> None:
    assert json.loads(document(SWITCH)) == {
        "event": "failover_performed",
        "ts": "2026-09-21T14:13:20.000Z",
        "text": SWITCH.message,
        "account": "anthropic/spare",
        "previous": "anthropic/work",
        "wait_s": 720.0,
    }


@pytest.mark.parametrize("kind", EventType)
def test_only_what_matters_is_told(kind: EventType) -> None:
    sent: list[bytes] = []
    notices = Notices({"webhook": sent.append}, 0)

    notices.take(Event(kind, AT, "anthropic/work", "something"))
    notices.take(Event(EventType.EXHAUSTED, AT, "openai", "the end of the test"))

    eventually(lambda: sent and b"the end" in sent[-1])
    assert len(sent) == 1 + (kind in TOLD)
    notices.close()


def test_the_same_is_not_told_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notices = Notices({}, 60.0)
    for after in (0, 30, 59, 61, 62):
        notices.take(Event(EventType.EXHAUSTED, AT + after, "anthropic", f"out after {after}"))
    notices.take(Event(EventType.EXHAUSTED, AT + 62, "openai", "another one"))

    assert [record.getMessage() for record in caplog.records] == [
        "mitm-balancer: out after 0", "mitm-balancer: out after 61", "mitm-balancer: another one",
    ]  # fmt: skip


def test_two_accounts_that_are_left_for_the_same_one_are_two_things(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notices = Notices({}, 60.0)
    for name in ("anthropic/a", "anthropic/b", "anthropic/a"):
        notices.take(Event(EventType.FAILOVER_PERFORMED, AT, "anthropic/c", f"{name} left", {"previous": name}))

    assert caplog.text.count("left") == 2


def test_a_sender_that_fails_is_said_once_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    """And the other one is not touched."""
    sent: list[bytes] = []
    failed: list[str] = []
    works = threading.Event()

    def webhook(told: bytes) -> None:
        if not works.is_set():
            raise NoticeError("hooks.example does not answer")

    notices = Notices({"webhook": webhook, "command": sent.append}, 0, failed.append)
    for number in range(3):
        notices.take(Event(EventType.EXHAUSTED, AT + number, "anthropic", "out"))
    eventually(lambda: len(sent) == 3)
    assert failed == ["notices.webhook: hooks.example does not answer"]
    assert caplog.text.count("does not answer") == 1
    assert notices.problem == "notices.webhook: hooks.example does not answer"
    works.set()
    notices.take(Event(EventType.EXHAUSTED, AT + 9, "anthropic", "out"))
    eventually(lambda: notices.problem is None)
    works.clear()
    notices.take(Event(EventType.EXHAUSTED, AT + 10, "anthropic", "out"))
    eventually(lambda: len(failed) == 2)
    notices.close()


def test_a_slow_sender_does_not_delay_the_other() -> None:
    go, sent = threading.Event(), []
    notices = Notices({"command": lambda _: go.wait(30), "webhook": sent.append}, 0)

    for number in range(3):
        notices.take(Event(EventType.EXHAUSTED, AT + number, f"p{number}", "out"))

    eventually(lambda: len(sent) == 3)
    notices.close()
    go.set()


def test_a_slow_sender_delays_nobody(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()
    notices = Notices({"command": lambda _: go.wait(10)}, 0)

    started = time.monotonic()
    for number in range(150):
        notices.take(Event(EventType.EXHAUSTED, AT + number, f"p{number}", "out"))
    notices.close()

    assert time.monotonic() - started < 1
    assert "a notice is not sent" in caplog.text
    go.set()


# -- commands -------------------------------------------------------------------------------------------------------


def test_a_command_gets_the_document_on_its_input(tmp_path: Path) -> None:
    target = tmp_path / "told"
    script = f"import sys; open({str(target)!r}, 'w').write(sys.stdin.read())"

    command((sys.executable, "-c", script), 10)(document(SWITCH))

    assert json.loads(target.read_text())["text"] == SWITCH.message


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("/nowhere/notify",), "/nowhere/notify cannot be started: No such file"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "ended with exit code 3"),
        ((sys.executable, "-c", "import time; time.sleep(30)"), "did not end within 0.3 s"),
    ],
    ids=["missing", "fails", "hangs"],
)
def test_a_command_that_fails_says_how(argv: tuple[str, ...], told: str) -> None:
    with pytest.raises(NoticeError, match=told):
        command(argv, 0.3 if "sleep" in argv[-1] else 10)(b"{}")


def test_nothing_of_a_command_outlives_its_time(tmp_path: Path) -> None:
    """Not its children either."""
    target = tmp_path / "late"
    child = f"import time; time.sleep(1); open({str(target)!r}, 'w')"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"

    with pytest.raises(NoticeError):
        command((sys.executable, "-c", script), 0.4)(b"{}")

    time.sleep(1.3)
    assert not target.exists()

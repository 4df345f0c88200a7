"""The audit log: its lines, and the file that they go to."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import sys
from pathlib import Path

import pytest
from recorded import AT, all_steps, record, tried

from mitm_balancer.config import Audit
from mitm_balancer.ops import logfile, steps
from mitm_balancer.ops.audit import AuditLog, fields, stamp
from mitm_balancer.ops.events import COMMON, MEANINGS, Event, EventType
from mitm_balancer.ops.logfile import RotatedFile, StandardOutput, audit_path, numbered
from mitm_balancer.secrets import Secret


class Sink:
    """Keeps what it is given, or fails."""

    def __init__(self) -> None:
        self.data = b""
        self.error: OSError | None = None

    def write(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.data += data

    def close(self) -> None: ...

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.data.splitlines()]


def written(*events: Event) -> list[dict[str, object]]:
    sink = Sink()
    log = AuditLog(sink)
    for event in events:
        log.add(event)
    log.flush()
    return sink.lines


def written_steps(*taken: steps.Step) -> list[dict[str, object]]:
    sink = Sink()
    log = AuditLog(sink)
    for step in taken:
        for kind, line in steps.lines(step):
            log.put(kind, step[1], line)
    log.flush()
    return sink.lines


def test_a_line_begins_with_its_time_and_type() -> None:
    (line,) = written(Event(EventType.REAUTH_REQUIRED, AT + 0.0426, "anthropic/work", "it needs a new login"))

    assert list(line) == ["ts", "event", "account", "provider", "message"]
    assert (line["ts"], line["event"]) == ("2026-09-21T14:13:20.042Z", "reauth_required")
    assert line["provider"] == "anthropic"


def test_the_clock_may_go_back() -> None:
    lines = written(*(Event(EventType.PROXY_STARTED, AT + after) for after in (0.0, 0.999, 1.5, 0.25)))

    assert [str(line["ts"])[-7:] for line in lines] == ["20.000Z", "20.999Z", "21.500Z", "20.250Z"]


def test_a_stamp_is_utc() -> None:
    assert stamp(0) == "1970-01-01T00:00:00.000Z"


def test_fields_that_the_schema_does_not_know_stand_apart() -> None:
    event = Event(EventType.EXHAUSTED, AT, "anthropic", data={"wait_s": 3.5, "surprise": 1, "provider": "anthropic"})

    assert fields(event) == {"provider": "anthropic", "wait_s": 3.5, "data": {"surprise": 1}}


def test_an_event_of_another_version_is_a_line_too() -> None:
    (line,) = written(Event("from_the_future", AT, data={"a": 1}))

    assert line == {"ts": stamp(AT), "event": "from_the_future", "data": {"a": 1}}


def test_a_secret_is_never_written() -> None:
    """And what JSON cannot hold is its text: a lone surrogate of a provider's message too."""
    data = {"oops": Secret("CANARY-1"), "deep": [{"x": Secret("CANARY-2")}], "odd": {1: object}}
    sink = Sink()
    log = AuditLog(sink)
    log.add(Event(EventType.ACCOUNT_SAVED, AT, "a/b", "half a character: \ud800", data))
    log.flush()

    assert b"CANARY" not in sink.data and b"Secret(***)" in sink.data
    assert sink.lines[0]["message"] == "half a character: \ud800"


def test_every_step_of_a_request_is_a_line_with_the_fields_of_its_type() -> None:
    data = record(
        tried("anthropic/a", "RateLimited", reason="rate_limit_error", message="slow down", wait=60.0, head=0.1),
        tried("anthropic/b", connect=0.1, head=0.2, first_event=0.3),
        session="9c1f02ab", queued_seconds=0.5, held_seconds=0.25, usage={"input": 7}, note="so it is",
        switch={"cold_tokens": 9}, resumed={"account": "anthropic/c"},
    )  # fmt: skip
    lines = written_steps(*all_steps(data))

    assert [line["event"] for line in lines] == [
        "request_started", "attempt", "verdict", "redispatch", "attempt", "verdict", "commit", "completed",
    ]  # fmt: skip
    assert {line["request_id"] for line in lines} == {"aaaabbbbcccc"}
    for line in lines:
        known = {*COMMON, *MEANINGS[EventType(str(line["event"]))].fields}
        assert set(line) <= known, line
    used = {name for line in lines for name in line} | {"stopped"}
    decided = (EventType.REQUEST_STARTED, EventType.ATTEMPT, EventType.VERDICT, EventType.REDISPATCH)
    documented = {name for kind in (*decided, EventType.COMMIT, EventType.COMPLETED) for name in MEANINGS[kind].fields}
    assert documented <= used, "fields that nothing ever fills"
    assert (lines[3]["account"], lines[3]["previous"]) == ("anthropic/b", "anthropic/a")
    assert (lines[2]["message"], lines[2]["wait_s"], lines[2]["billed"]) == ("slow down", 60.0, "no")
    assert (lines[-1]["queued_s"], lines[-1]["held_s"], lines[-1]["tokens"]) == (0.5, 0.25, {"input": 7})


@pytest.mark.parametrize(("account", "by"), [("none", "balancer"), ("client", "client")])
def test_who_answers_when_no_account_does(account: str, by: str) -> None:
    data = record(account=account, status=429, stopped="every account is cooling")

    lines = written_steps(*all_steps(data))

    assert [line["answered_by"] for line in lines[1:]] == [by, by]
    assert "account" not in lines[-1] and lines[-1]["stopped"] == "every account is cooling"


def test_a_request_that_got_nothing_says_so() -> None:
    data = record(ended="cancelled by the client")
    del data["account"], data["status"], data["head_seconds"]

    (line,) = written_steps((EventType.COMPLETED, AT, data, None))

    assert line["ended"] == "cancelled by the client"
    assert {"status", "account", "answered_by"}.isdisjoint(line)


def test_trouble_is_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.error = OSError(28, "No space left on device")
    log = AuditLog(sink)
    for _ in range(3):
        log.add(Event(EventType.PROXY_STARTED, AT))
        log.flush()

    assert (log.lost, caplog.text.count("cannot be written")) == (3, 1)
    assert log.problem is not None and "No space left" in log.problem
    sink.error = None
    log.add(Event(EventType.PROXY_STOPPED, AT))
    log.flush()
    assert log.problem is None
    assert [line["event"] for line in sink.lines] == ["proxy_stopped"]


def test_a_reader_that_stands_still_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And when it goes on, it gets whole lines."""
    reading, writing = os.pipe()
    monkeypatch.setattr(logfile, "READER_PATIENCE", 0.05)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writing, "w"))
    out, line = StandardOutput(), b'{"event": "x"}' * 1000 + b"\n"
    with pytest.raises(TimeoutError):
        for _ in range(20):
            out.write(line)
    os.read(reading, 1 << 20)

    out.write(b'{"event": "next"}\n')

    assert os.read(reading, 1 << 20).splitlines()[-1] == b'{"event": "next"}'
    os.close(reading)


# -- the file -------------------------------------------------------------------------------------------------------


def test_the_file_is_private_from_its_first_moment(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        RotatedFile(tmp_path / "a", 100, 1).write(b"x\n")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_it_is_rotated_by_size_and_old_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    file = RotatedFile(path, 10, 2)
    for number in range(9):
        file.write(b"line %d\n" % number)

    assert path.read_bytes() == b"line 8\n"
    assert [numbered(path, n).read_bytes() for n in (1, 2)] == [b"line 7\n", b"line 6\n"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["audit.ndjson", "audit.ndjson.1", "audit.ndjson.2"]


def test_without_old_ones_it_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    file = RotatedFile(path, 10, 0)
    for number in range(3):
        file.write(b"line %d\n" % number)

    assert path.read_bytes() == b"line 2\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_it_goes_on_where_an_earlier_process_stopped(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    for number in range(3):
        file = RotatedFile(path, 15, 3)
        file.write(b"line %d\n" % number)
        file.close()

    assert path.read_bytes() == b"line 2\n"
    assert numbered(path, 1).read_bytes() == b"line 0\nline 1\n"


def test_a_line_that_was_cut_spoils_no_other(tmp_path: Path) -> None:
    """A disk that is full takes a part of it; so does a kill."""
    path = tmp_path / "audit.ndjson"
    path.write_bytes(b"one\ntw")
    file = RotatedFile(path, 1000, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (11, before[1]))
    try:
        with pytest.raises(OSError):
            file.write(b"three-four-five\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"one\ntw\nthre"
    file.write(b"six\n")

    assert path.read_bytes() == b"one\ntw\nthre\nsix\n"


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    """logrotate does that, and a second proxy of the same home."""
    path = tmp_path / "audit.ndjson"
    file = RotatedFile(path, 1000, 1)
    file.write(b"one\n")
    path.rename(tmp_path / "moved")
    file.write(b"two\n")
    path.unlink()
    file.write(b"three\n")

    assert (tmp_path / "moved").read_bytes() == b"one\n"
    assert path.read_bytes() == b"three\n"


@pytest.mark.parametrize(
    ("to", "source", "path"),
    [
        ("file", "/etc/b/config.yaml", "/home/x/audit.ndjson"),
        ("off", "/etc/b/config.yaml", None),
        ("stdout", "/etc/b/config.yaml", None),
        ("logs/a.ndjson", "/etc/b/config.yaml", "/etc/b/logs/a.ndjson"),
        ("logs/a.ndjson", None, "/home/x/logs/a.ndjson"),
        ("/var/log/a.ndjson", "/etc/b/config.yaml", "/var/log/a.ndjson"),
    ],
)
def test_where_it_goes(to: str, source: str | None, path: str | None) -> None:
    found = audit_path(Audit(to), Path("/home/x"), Path(source) if source else None)

    assert found == (Path(path) if path else None)

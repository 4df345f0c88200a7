"""`balancer events`: the past, what follows, and the steps of requests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitm_balancer.cli import event_feed
from mitm_balancer.cli.main import main
from mitm_balancer.store import Store

NOW = 1_790_000_000.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("BALANCER_HOME", str(home))
    monkeypatch.delenv("BALANCER_CONFIG", raising=False)
    return home


@pytest.fixture
def stored(home: Path) -> Path:
    store = Store.open(home)
    store.add_event("cooldown_started", "anthropic/work", "work rests", {"wait_s": 60.0, "request_id": "r1"}, at=NOW)
    moved = {"previous": "anthropic/work", "request_id": "r1"}
    store.add_event("failover_performed", "anthropic/spare", "switching to spare", moved, at=NOW + 1)
    store.add_event("exhausted", "openai", "every openai account is out", at=NOW + 2)
    store.close()
    return home


@pytest.fixture
def log(home: Path) -> Path:
    """Two files: the older one was put aside."""
    lines = [
        {
            "ts": f"2026-01-31T09:05:0{n}.000Z",
            "event": event,
            "request_id": f"r{n % 2}",
            "account": "a/b",
            "status": 429,
        }
        for n, event in enumerate(("attempt", "verdict", "attempt", "completed"))
    ]
    text = [json.dumps(line) + "\n" for line in lines]
    (home / "audit.ndjson.1").write_text("".join(text[:2]))
    (home / "audit.ndjson").write_text("".join(text[2:]) + '{"cut off')
    return home


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["events", *words]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("stored")
def test_the_past_newest_last(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys)

    assert [line.split()[2] for line in lines] == ["cooldown_started", "failover_performed", "exhausted"]
    assert lines[1].endswith("  switching to spare")
    assert lines[0][:19] == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(NOW))


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--type", "exhausted"], ["exhausted"]),
        (["--type", "exhausted", "--type", "cooldown_started"], ["cooldown_started", "exhausted"]),
        (["--account", "anthropic/work"], ["cooldown_started", "failover_performed"]),
        (["--account", "anthropic/spare"], ["failover_performed"]),
        (["--account", "openai"], ["exhausted"]),
        (["--request", "r1"], ["cooldown_started", "failover_performed"]),
        (["-n", "1"], ["exhausted"]),
        (["-n", "0"], []),
        (["--account", "nobody"], []),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_filters(words: list[str], kept: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert [json.loads(line)["event"] for line in shown(capsys, "--json", *words)] == kept


@pytest.mark.usefixtures("stored")
def test_json_is_a_line_of_the_audit_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown(capsys, "--json")[0]) == {
        "ts": "2026-09-21T14:13:20.000Z",
        "event": "cooldown_started",
        "request_id": "r1",
        "account": "anthropic/work",
        "provider": "anthropic",
        "message": "work rests",
        "wait_s": 60.0,
    }


def test_the_account_is_named_where_the_message_does_not(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(home)
    store.add_event("operator_paused", "anthropic/work", "paused by the operator")
    store.add_event("account_saved", "anthropic/work", "anthropic/work was saved")
    store.add_event("failover_performed", "anthropic/spare", "anthropic/work is out: switching to spare")
    store.close()

    paused, saved, moved = shown(capsys)

    assert paused.endswith("  anthropic/work: paused by the operator")
    assert saved.endswith("  anthropic/work was saved")
    assert moved.endswith("  anthropic/work is out: switching to spare")


def test_no_control_character_reaches_a_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(home)
    store.add_event("usage_unavailable", "a/b", "the provider says \x1b]0;owned\x07\nnext")
    store.close()

    (line,) = shown(capsys)

    assert line.isprintable()


@pytest.mark.usefixtures("log")
def test_decisions_come_from_the_log_and_from_what_was_put_aside(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[2] for line in shown(capsys, "--decisions")] == ["attempt", "verdict", "attempt", "completed"]
    of_one = shown(capsys, "--decisions", "--request", "r1")
    assert [line.split()[2:5] for line in of_one] == [["verdict", "r1", "a/b"], ["completed", "r1", "a/b"]]
    assert of_one[0].endswith("status=429")


def test_a_log_that_is_elsewhere_is_read_there(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (log / "config.yaml").write_text("audit: {to: moved.ndjson}")
    (log / "moved.ndjson").write_text((log / "audit.ndjson.1").read_text())

    assert len(shown(capsys, "--decisions")) == 2


@pytest.mark.parametrize(
    ("to", "told"), [("off", "goes to off"), ("stdout", "goes to stdout"), ("file", "there is no")]
)
def test_a_log_that_cannot_be_read_is_told_with_its_cure(
    home: Path, to: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.yaml").write_text(f"audit: {{to: '{to}'}}")

    assert main(["events", "--decisions"]) == 1
    assert told in capsys.readouterr().err


def test_looking_makes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == []
    assert list(home.iterdir()) == []


def test_an_unknown_type_is_refused(home: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["events", "--type", "no_such_type"])
    assert caught.value.code == 2


# -- following ------------------------------------------------------------------------------------------------------


def until_pause(feed: Iterator[event_feed.Line | None]) -> list[str]:
    """The events of one look."""
    found = []
    for line in feed:
        if line is None:
            return found
        found.append(str(line["event"]))
    return [*found, "(end)"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "LOOK", 0.01)


def test_the_store_is_followed_from_before_it_is_there(home: Path) -> None:
    feed = event_feed.from_store(home, follow=True)
    assert until_pause(feed) == []
    for kind in ("exhausted", "cooldown_ended"):
        store = Store.open(home)
        store.add_event(kind, "a/b")
        store.close()
        assert until_pause(feed) == [kind]
    assert until_pause(feed) == []
    feed.close()  # type: ignore[attr-defined]


def test_the_log_is_followed_over_a_rotation(home: Path) -> None:
    """Not a line is lost, also of what was written just before it was put aside; half a line waits for its end."""
    path = home / "audit.ndjson"
    feed = event_feed.from_log(path, follow=True)
    assert until_pause(feed) == []
    path.write_text('{"event": "one"}\n{"event": "tw')
    assert until_pause(feed) == ["one"]
    with path.open("a") as file:
        file.write('o"}\n')
    assert until_pause(feed) == ["two"]
    with path.open("a") as file:
        file.write('{"event": "three"}\n')
    path.rename(home / "audit.ndjson.1")
    path.write_text('{"event": "four"}\n')
    assert until_pause(feed) == ["three", "four"]
    feed.close()  # type: ignore[attr-defined]

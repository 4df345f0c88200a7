"""`balancer demo`: it shows a real failover, and fails when there is none."""

import json
from pathlib import Path

import pytest
from processes import balancer

from mitm_balancer.cli.demo_client import Event, Head
from mitm_balancer.cli.demo_verb import AGENT_KEY, Seen, judge
from mitm_balancer.testing import Record


def record(label: str, status: int, raw_head: bytes = b"") -> Record:
    return Record(0.0, 1, 1, "HTTP/1.1", "POST", "/v1/messages", (), raw_head, label=label, status=status)


def seen(status: int = 200, last: str = "message_stop", broken: str = "") -> Seen:
    return Seen(Head(status, {}), [Event(0.0, "message_start", ""), Event(0.1, last, "")], broken)


GOOD = [record("work", 429), record("spare", 200)]


def test_the_demo_shows_a_failover(tmp_path: Path) -> None:
    done = balancer(tmp_path / "home", "demo", TMPDIR=str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "gets 200, x-balancer: request=" in done.stdout
    assert "account=spare; attempts=2" in done.stdout
    assert "account work   -> 429" in done.stdout
    assert "account spare  -> 200" in done.stdout
    assert list(tmp_path.iterdir()) == []  # neither the home of the user nor anything else was touched


def test_the_demo_tells_programs_too(tmp_path: Path) -> None:
    done = balancer(tmp_path / "home", "demo", "--json")

    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert found["attempts"] == [{"account": "work", "status": 429}, {"account": "spare", "status": 200}]
    assert found["client"]["text"].startswith("Hello!")


def test_what_should_happen_is_no_problem() -> None:
    assert judge(seen(), GOOD) == []


@pytest.mark.parametrize(
    ("client", "ledger"),
    [
        (seen(status=429), GOOD),
        (seen(last="error"), GOOD),
        (seen(broken="reset"), GOOD),
        (Seen(), GOOD),
        (seen(), [record("spare", 200)]),
        (seen(), [*GOOD, record("spare", 200)]),
        (seen(), [record("work", 429), record("spare", 200, f"x-api-key: {AGENT_KEY}".encode())]),
    ],
)
def test_anything_else_fails_the_demo(client: Seen, ledger: list[Record]) -> None:
    assert len(judge(client, ledger)) >= 1

"""`status` and `why`: what the store says, told to people and to programs."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mitm_balancer.cli.main import main
from mitm_balancer.store import CooldownRow, Store

CONFIG = """\
version: 1
accounts:
- {provider: anthropic, alias: work, credential: CANARY-1}
- {provider: anthropic, alias: spare, credential: CANARY-2, models: ["claude-*"]}
- {provider: openai, alias: a-rather-long-alias-for-a-table, credential: {env: NOT_SET}}
- {provider: openai, alias: idle, credential: CANARY-3, enabled: false}
"""

TRACE = {
    "id": "aaaabbbbcccc",
    "at": 1_790_000_000.0,
    "request": "POST api.anthropic.com/v1/messages",
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "stream": True,
    "attempts": [
        {
            "account": "anthropic/work",
            "because": "first",
            "verdict": "RateLimited",
            "reason": "rate_limit_error",
            "message": "slow down",
            "wait": 3600.0,
            "status": 429,
            "seconds": 0.1,
            "head": 0.08,
            "billed": "no",
        },
        {"account": "anthropic/spare", "because": "redispatch", "verdict": "Ok", "status": 200, "seconds": 0.2},
    ],
    "passed_over": [{"account": "anthropic/third", "reason": "usage limit", "back_in": 120.0}],
    "account": "anthropic/spare",
    "status": 200,
    "ended": "complete",
    "bytes_out": 1234,
    "seconds": 1.5,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text(CONFIG)
    monkeypatch.setenv("BALANCER_HOME", str(home))
    monkeypatch.delenv("BALANCER_CONFIG", raising=False)
    return home


def put(home: Path, fill: Callable[[Store], object]) -> None:
    """As another process leaves it: written and closed."""
    store = Store.open(home)
    fill(store)
    store.close()


@pytest.fixture
def stored(home: Path) -> Path:
    """A cooldown of an account, one of a model, one that is over; and a trace."""

    def fill(store: Store) -> None:
        now = time.time()
        store.save_cooldown(CooldownRow("anthropic/work", "", now + 3000, now - 600, 3600, "RateLimited: slow down"))
        store.save_cooldown(CooldownRow("anthropic/spare", "claude-opus", now + 60, now, 60, "QuotaExhausted: opus"))
        store.save_cooldown(CooldownRow("openai/idle", "", now - 1, now - 61, 60, "over"))
        store.add_trace("aaaabbbbcccc", TRACE)

    put(home, fill)
    return home


@pytest.fixture
def proxy(stored: Path) -> Iterator[int]:
    """Something that lives and listens, as a running proxy does."""
    problem = "environment variable NOT_SET is not set: export it before the proxy starts"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
        state = {
            "pid": os.getpid(),
            "host": "0.0.0.0",
            "port": port,
            "started": time.time() - 100,
            "active": {"anthropic": "anthropic/spare"},
            "credential_problems": {"openai/a-rather-long-alias-for-a-table": problem},
            "config_problem": "config.yaml:3: nonsense",
            "observing_problems": ["no metrics on 127.0.0.1:9464: Address already in use"],
        }
        put(stored, lambda store: store.put_state("proxy", state))
        yield port


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("stored")
def test_each_account_has_its_state_and_countdown(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown(capsys, "status", "--json"))

    states = {account["name"]: account["state"] for account in found["accounts"]}
    assert states == {
        "anthropic/work": "cooling",
        "anthropic/spare": "limited",
        "openai/a-rather-long-alias-for-a-table": "ready",
        "openai/idle": "disabled",
    }
    work, spare, *_ = found["accounts"]
    assert work["back_in"] == pytest.approx(3000, abs=5)
    assert [(c["model"], c["reason"]) for c in spare["cooldowns"]] == [("claude-opus", "QuotaExhausted: opus")]
    assert found["proxy"] is None


def test_a_running_proxy_adds_what_only_it_knows(proxy: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown(capsys, "status", "--json"))

    assert found["proxy"]["url"] == f"http://127.0.0.1:{proxy}"
    assert [account["name"] for account in found["accounts"] if account["active"]] == ["anthropic/spare"]
    assert [account["state"] for account in found["accounts"]][2] == "unusable"
    assert found["problems"] == [
        "config.yaml:3: nonsense",
        "no metrics on 127.0.0.1:9464: Address already in use",
    ]


def test_a_row_of_a_dead_proxy_is_not_believed(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {"pid": 2**22 + 1, "host": "127.0.0.1", "port": 1, "config_problem": "old"}
    put(stored, lambda store: store.put_state("proxy", state))

    found = json.loads(shown(capsys, "status", "--json"))

    assert found["proxy"] is None
    assert found["problems"] == []


@pytest.mark.usefixtures("proxy")
def test_the_table_fits_80_columns_without_colour_or_secret(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "status")

    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("config"))
    assert "\x1b" not in text
    assert "CANARY" not in text
    told = " ".join(text.split())
    assert "cooling back in 50 min: RateLimited: slow down" in told
    assert "limited back in 60 s for claude-opus: QuotaExhausted: opus active" in told
    assert "unusable environment variable NOT_SET is not set: export it before the proxy starts" in told


@pytest.mark.usefixtures("stored")
def test_the_line_says_who_is_back_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "status", "--line") == (
        "balancer · 2 of 4 ready · anthropic/spare back in 60 s · no proxy runs\n"
    )


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("request_id", ["aaaabbbbcccc", "last"])
def test_why_tells_the_attempts_in_order(request_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    head, facts, passed, first, message, second, end = shown(capsys, "why", request_id).splitlines()

    assert head.startswith("request aaaabbbbcccc") and head.endswith(TRACE["request"])
    assert facts == "  anthropic, claude-sonnet-4-5, streaming"
    assert passed == "  passed over anthropic/third: usage limit, back in 2 min"
    assert first == (
        "  1. anthropic/work (first): 429 RateLimited, rate_limit_error, come back in 60 min, not billed"
        "   0.10 s (head 80 ms)"
    )
    assert message == '     "slow down"'
    assert second == "  2. anthropic/spare (redispatch): 200 Ok   0.20 s"
    assert end == "  anthropic/spare answered 200, complete: 1.2 kB in 1.50 s"


@pytest.mark.usefixtures("stored")
def test_why_as_json_is_the_record_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown(capsys, "why", "last", "--json")) == TRACE


@pytest.mark.usefixtures("proxy")
def test_why_waits_for_what_a_running_proxy_has_yet_to_write(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The id is in the head of the answer; the record comes when the answer is over and the writer has gathered."""
    new = TRACE | {"id": "ddddeeeeffff"}
    late = threading.Timer(0.3, lambda: put(home, lambda store: store.add_trace("ddddeeeeffff", new)))
    late.start()

    assert json.loads(shown(capsys, "why", "ddddeeeeffff", "--json")) == new
    late.join()


@pytest.mark.usefixtures("stored")
def test_an_unknown_request_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "nobody"]) == 1
    assert "no request nobody" in capsys.readouterr().err


def test_without_a_configuration_it_says_where_one_belongs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.yaml").unlink()

    assert f"none ({home}/config.yaml is read when it exists)" in shown(capsys, "status")


def test_looking_at_a_home_makes_nothing_in_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "last"]) == 1
    assert main(["status"]) == 0

    assert [path.name for path in home.iterdir()] == ["config.yaml"]

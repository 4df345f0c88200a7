"""`balancer usage`: the seed's labels, the account's one bar, the rows, the JSON; nothing beyond 80 columns."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from mitm_balancer.cli.main import main
from mitm_balancer.cli.picture import AccountPicture, Cooldown
from mitm_balancer.cli.status_usage import PollPicture, UsagePicture, usage_pictures
from mitm_balancer.cli.usage_view import Frame, amount_text, cut, label, lines, number, overall, seen
from mitm_balancer.config import Config
from mitm_balancer.store import CooldownRow, Store, UsageRow, WindowRow
from mitm_balancer.store.snapshots import SnapshotRow, save

NOW = 1_790_000_000.0
WORK = "anthropic/work"
PROVIDERS = {provider.name: provider for provider in Config().all_providers()}


def used(name: str, percent: float | None = None, age: float = 5, **more: Any) -> WindowRow:
    return WindowRow(WORK, name, NOW - age, percent, **more)


def polled(confidence: str = "exact", plan: str = "", message: str = "fetched.", age: float = 5) -> SnapshotRow:
    return SnapshotRow(WORK, NOW - age, confidence, plan, message)


def usage(*rows: WindowRow, poll: SnapshotRow | None = None) -> UsagePicture:
    return usage_pictures([], rows, NOW, {WORK: poll} if poll else {}).get(WORK, UsagePicture())


def shown(picture: UsagePicture, width: int = 80, **fields: Any) -> list[str]:
    account = AccountPicture(WORK, *WORK.split("/"), fields.pop("state", "ready"), False, 0, usage=picture, **fields)
    found = "\n".join(lines([account], PROVIDERS, NOW, Frame(width))).split("\n")
    assert max(map(len, found)) <= width
    return found


def test_labels_are_cut_in_their_middle() -> None:
    """Behaviour spec 6.5: 34 columns, of which the left 17 and the right 16 are the text's own."""
    text = "abcdefghijklmnopqrstuvwxyz0123456789"
    assert cut(text) == "abcdefghijklmnopq…uvwxyz0123456789"
    assert len(cut(text)) == 34
    assert cut(text[:34]) == text[:34]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (UsagePicture(), "usage unavailable"),
        (usage(used("unified-5h", 1.0)), "from its answers"),
        (usage(poll=polled("unavailable", "Plus", "HTTP 500.")), "HTTP 500."),
        (usage(used("unified-5h", 1.0), poll=polled("unavailable")), "from its answers"),
        (usage(used("unified-5h", 1.0, source="poll"), poll=polled("unavailable")), "fetched."),
        (usage(poll=polled()), "fetched."),
        (usage(poll=polled(plan="ChatGPT Plus")), "ChatGPT Plus"),
        (
            usage(used("chat", 75.0, remaining=75.0, allowed=300.0, source="poll"), poll=polled(plan="pro")),
            "used 225 · remaining 75 · pro",
        ),
        (usage(used("chat", 75.0, remaining=75.0, allowed=300.0), poll=polled(plan="pro")), "pro"),
    ],
)
def test_labels(picture: UsagePicture, expected: str) -> None:
    assert label(picture) == expected


def test_the_bar_is_that_of_the_tightest_quota_of_the_account() -> None:
    """Not of a model's own window, nor of a rate that refills while one looks; as the balancer itself decides."""
    windows = (
        used("unified-5h", 42.0, reset_at=NOW + 60),
        used("unified-7d", 71.0, reset_at=NOW + 60),
        used("unified-7d_opus", 99.0, reset_at=NOW + 60),
        used("unified-overage", 100.0, reset_at=NOW + 86_400),
        used("requests", 98.0, reset_at=NOW + 30),
    )
    assert overall(usage(*windows), PROVIDERS["anthropic"], NOW) == pytest.approx(71.0)
    assert overall(usage(), PROVIDERS["anthropic"], NOW) is None
    assert overall(usage(used("x", 5.0)), None, NOW) == pytest.approx(5.0)


def test_every_window_has_its_reset_and_its_source() -> None:
    picture = usage(
        used("unified-7d", 71.0, reset_at=NOW + 3 * 86_400),
        used("unified-5h", 42.4, reset_at=NOW + 7500),
        used("unified-7d_opus", None, age=700, remaining=25.0, allowed=100.0, source="poll"),
        used("old", 50.0, reset_at=NOW - 1),
    )
    cooldown = Cooldown("claude-opus-4", "plan_window_rejected", 720.0, NOW + 720)
    assert shown(picture, cooldowns=(cooldown,), state="limited") == [
        "anthropic/work  ██████░░ 71%   from its answers  limited",
        "  5h                    ████░░░░ 42%   resets in 2 h 05 min      header, 5 s ago",
        "  7d                    ██████░░ 71%   resets in 3 d 00 h        header, 5 s ago",
        "  7d_opus               ██████░░ 75%   25 of 100 left           poll, 12 min ago",
        "  old                   ──────── --    has reset since           header, 5 s ago",
        "  refused               claude-opus-4: plan_window_rejected, back in 12 min",
    ]


def test_a_window_that_a_later_poll_does_not_tell_is_gone() -> None:
    old = used("extra-primary", 90.0, age=400, source="poll")
    assert [w.name for w in usage(old, used("primary", 1.0, age=400), poll=polled()).windows] == ["primary"]
    assert [w.name for w in usage(old, poll=polled("unavailable")).windows] == ["extra-primary"], "it told nothing"


def test_what_could_not_be_asked_says_so() -> None:
    long = "OpenAI ChatGPT usage request failed with HTTP 503, and it went on failing in many words."
    found = shown(usage(used("unified-5h", 1.0, source="poll"), poll=polled("unavailable", message=long)))
    assert "…" in found[0]
    text = " ".join(line[24:] for line in found[2:]).split()
    assert [word for word in text if word not in ("poll,", "5", "s", "ago")] == long.split()
    groq = AccountPicture("groq/g", "groq", "g", "ready", False, 0)
    first, second = lines([groq], PROVIDERS, NOW, Frame())
    assert "usage unavailable" in first
    assert "No usage service registered for groq: its keys have" in second


def test_a_wide_terminal_has_longer_bars_and_more_numbers() -> None:
    picture = usage(used("chat", 75.0, remaining=75.0, allowed=300.0, reset_at=NOW + 60, source="poll"))
    assert "████████████░░░░ 75%   75 of 300 left, resets in 60 s" in shown(picture, 120)[1]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ({"used": 30.5, "limit": 40.0, "remaining": 9.5, "unit": "USD"}, "30.50 of 40.00 USD used, 9.50 left"),
        ({"used": 1_234_567.0, "unit": "tokens"}, "1.2M tokens used"),
        ({"remaining": 12.5}, "12.5 left"),
        ({"unlimited": True}, "unlimited"),
        ({}, ""),
    ],
)
def test_amounts(amount: dict[str, Any], text: str) -> None:
    assert amount_text(amount) == text


@pytest.mark.parametrize(
    ("value", "text"), [(7.0, "7"), (7.5, "7.5"), (9999.0, "9999"), (12_345.0, "12.3k"), (0.0, "0")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_colours_take_no_columns() -> None:
    assert seen("\x1b[31m██\x1b[0m x") == 4


class Home:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store.open(path)

    def fill(self) -> None:
        now = time.time()
        (self.path / "config.yaml").write_text(
            "accounts: [{provider: anthropic, alias: work, credential: CANARY},"
            " {provider: groq, alias: work, credential: CANARY}, {provider: groq, alias: two, credential: CANARY}]"
        )
        today = time.strftime("%Y-%m-%d", time.localtime(now))
        self.store.add_usage([UsageRow(today, WORK, "claude-opus", 12, 0, 1000, 20)])
        self.store.save_windows([WindowRow(WORK, "unified-5h", now, 42.0, reset_at=now + 7200, source="poll")])
        row = SnapshotRow(
            WORK,
            now,
            "exact",
            "max",
            "Anthropic usage fetched.",
            '[{"secret": "RAW"}]',
            amounts='[{"name": "credits"}]',
        )
        save(self.store, row)
        cooldown = CooldownRow(WORK, "", now + 60, now, 60.0, "limit")
        assert self.store.save_cooldown(cooldown).result(5)
        self.store.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("BALANCER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BALANCER_CONFIG", raising=False)
    made = Home(tmp_path / "home")
    made.fill()
    return made


def test_the_verb_shows_what_is_stored(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usage"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert [line.split()[0] for line in out.splitlines() if line and not line.startswith(" ")] == [
        "anthropic/work",
        "groq/work",
        "groq/two",
    ]
    assert "today                 12 answers, tokens 1.0k in, 20 out" in out
    assert "CANARY" not in out
    assert main(["usage", "two", "anthropic"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if line and not line.startswith(" ")] == [
        "anthropic/work",
        "groq/two",
    ]
    assert main(["usage", "three"]) == 1
    assert "anthropic/work, groq/work, groq/two" in capsys.readouterr().err


def test_the_json_has_every_number_with_its_age_and_source(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usage", "--json"]) == 0
    text = capsys.readouterr().out
    data = json.loads(text)
    assert (data["version"], data["refresh"]) == (1, None)
    work, groq, _ = data["accounts"]
    (window,) = work["windows"]
    assert (window["source"], window["used_percent"], work["used_percent"]) == ("poll", 42.0, 42.0)
    assert abs(window["seen_at"] - time.time()) < 60
    assert (work["plan"], work["poll"]["supported"], work["poll"]["amounts"]) == ("max", True, [{"name": "credits"}])
    assert (work["refused"][0]["reason"], work["today"]["answers"]) == ("limit", 12)
    assert (groq["poll"]["supported"], groq["poll"]["confidence"]) == (False, "unavailable")
    assert groq["poll"].keys() == work["poll"].keys()
    assert groq["poll"]["fetched_at"] is None
    assert "RAW" not in text


def test_looking_makes_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BALANCER_HOME", str(tmp_path / "none"))
    assert main(["usage"]) == 0
    assert "no accounts" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_a_broken_row_costs_its_credits_only(home: Home) -> None:
    (picture,) = usage_pictures([], [], NOW, {WORK: SnapshotRow(WORK, NOW, "exact", "p", amounts="{")}).values()
    assert picture.poll == PollPicture(NOW, "exact", "p", "", "", (), 0.0)

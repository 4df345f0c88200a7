"""What `status` says of tokens and limit windows."""

import json
import time
from pathlib import Path

import pytest

from mitm_balancer.cli.limit_text import limit_lines
from mitm_balancer.cli.main import main
from mitm_balancer.cli.status_usage import UsagePicture, counted, short, usage_pictures
from mitm_balancer.store import Store, UsageRow, WindowRow

NOW = 1_790_000_000.0
WORK = "anthropic/work"


def tokens(*rows: UsageRow) -> str:
    return counted(usage_pictures(rows, [], NOW)[WORK].today)


def lines(*rows: WindowRow) -> list[str]:
    return told(usage_pictures([], rows, NOW)[WORK])


def told(picture: UsagePicture) -> list[str]:
    return [text.plain for text in limit_lines(picture, NOW)]


def used(name: str, percent: float | None, **more: float | int | str | None) -> WindowRow:
    return WindowRow(WORK, name, NOW - 5, percent, **more)  # type: ignore[arg-type]


def test_tokens_of_all_models_are_told_together() -> None:
    opus = UsageRow("d", WORK, "opus", 2, 0, 1_234_567, 45_678, 1_000_000)
    assert tokens(opus, UsageRow("d", WORK, "haiku", 1, 1)) == (
        "3 answers, tokens 1.2M in (81 % cached), 45.7k out, 1 of them not told"
    )
    assert tokens(UsageRow("d", WORK, "haiku", 1, 1)) == "1 answer, tokens not told"
    assert tokens(UsageRow("d", WORK, "haiku", 1, 0, 5, 6)) == "1 answer, tokens 5 in, 6 out"


def test_windows_tell_how_full_they_are_and_when_they_are_fresh() -> None:
    found = lines(
        used("unified-5h", 42.4, reset_at=NOW + 7500),
        used("requests", None, remaining=75.0, allowed=100.0),
        used("primary", 10.0, minutes=300),
        used("bengalfox-secondary", 20.0, minutes=10080),
        used("nothing-said", None),
    )
    assert found == [
        "5h           █░░░░░░░ 10%",
        "5h           ████░░░░ 42%   resets in 2 h 05 min",
        "bengalfox-7d ██░░░░░░ 20%",
        "requests     ██░░░░░░ 25%",
    ]


def test_after_its_reset_nobody_knows_and_old_news_say_so() -> None:
    over = WindowRow(WORK, "5h", NOW - 3600, 99.0, 1.0, 100.0, NOW - 1, "rejected")
    picture = usage_pictures([], [over], NOW)[WORK]
    (window,) = picture.windows
    assert (window.used_percent, window.remaining, window.status, window.resets_in) == (None, None, "", None)
    assert told(picture) == []
    assert lines(over, WindowRow(WORK, "7d", NOW - 3600, 50.0)) == ["7d ████░░░░ 50%", "seen 60 min ago"]


def test_of_many_windows_the_fullest_are_told() -> None:
    *first, last = lines(*(used(f"w{number}", float(number)) for number in range(9)))
    assert [line.split()[0] for line in first] == ["w3", "w4", "w5", "w6", "w7", "w8"]
    assert last == "and 3 more"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (12_345, "12.3k"), (123_456, "123k"), (1_500_000, "1.5M")],
)
def test_counts_are_short(count: int, text: str) -> None:
    assert short(count) == text


def test_status_shows_today_only_within_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("BALANCER_HOME", str(home))
    monkeypatch.delenv("BALANCER_CONFIG", raising=False)
    store, now = Store.open(home), time.time()
    (home / "config.yaml").write_text("accounts: [{provider: anthropic, alias: work, credential: CANARY}]")
    today = time.strftime("%Y-%m-%d", time.localtime(now))
    store.add_usage([UsageRow(today, WORK, "claude-opus", 12, 0, 1_000_000, 2000, 880_000, 7, 9)])
    store.add_usage([UsageRow("2020-01-01", WORK, "claude-opus", 12, 0, 1, 1)])
    store.save_windows([WindowRow(WORK, "unified-5h", now, 42.0, reset_at=now + 7200, status="allowed")])
    store.save_windows([WindowRow(WORK, "unified-7d", now, 80.0, reset_at=now + 259_200, status="allowed_warning")])
    store.close()

    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith(("config", "proxy")))
    words = " ".join(text.split())
    assert "today 12 answers, tokens 1.0M in (88 % cached), 2.0k out" in words
    assert "5h ████░░░░ 42% resets in 2 h 00 min 7d ███████░ 80% resets in 3 d 00 h" in words

    assert main(["status", "--json"]) == 0
    usage = json.loads(capsys.readouterr().out)["accounts"][0]["usage"]
    assert usage["today"] == usage["models"]["claude-opus"]
    assert (usage["today"]["input"], usage["today"]["cache_read"], usage["today"]["reasoning"]) == (10**6, 880_000, 9)
    assert [(w["name"], w["used_percent"], w["status"]) for w in usage["windows"]] == [
        ("unified-5h", 42.0, "allowed"),
        ("unified-7d", 80.0, "allowed_warning"),
    ]

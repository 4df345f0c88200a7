"""The page of `status`: widths, colours, what each state shows; and `--watch` on a terminal."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from processes import BALANCER, environ
from rich.console import Console

from mitm_balancer.cli.picture import AccountPicture, Cooldown, Picture, ProxyPicture
from mitm_balancer.cli.status_line import line
from mitm_balancer.cli.status_text import render
from mitm_balancer.cli.status_usage import Tokens, UsagePicture, WindowPicture
from mitm_balancer.store import CooldownRow, Store

NOW = 1_790_000_000.0


def window(name: str, used: float | None, resets_in: float | None = None) -> WindowPicture:
    return WindowPicture(name, used, None, None, "", None, resets_in, None, NOW - 5)


def account(alias: str, state: str = "ready", provider: str = "anthropic", **more: Any) -> AccountPicture:
    fields: dict[str, Any] = {"active": False, "priority": 0} | more
    return AccountPicture(f"{provider}/{alias}", provider, alias, state, **fields)


WORK = account(
    "work",
    active=True,
    in_flight=2,
    sessions=1,
    last_used=NOW - 12,
    latency={"m": 0.84, "n": 2.0},
    health=0.98,
    usage=UsagePicture(Tokens(3, 0, 100, 50), {}, (window("5h", 42.0, 7200), window("7d", 95.0, 259_200))),
)
SPARE = account("spare", "cooling", cooldowns=(Cooldown("", "QuotaExhausted: usage", 3000.0, NOW + 3000),))
SICK = account(
    "sick",
    "failing",
    breaker="open",
    breaker_until=NOW + 25,
    failures=5,
    last_error={"at": NOW - 5, "verdict": "TransportFailure", "reason": "connect", "message": "refused", "status": 502},
)
PROXY = ProxyPicture(7, "http://127.0.0.1:8080", "1", NOW - 100, 3, 1, 64, 100, 1)
PICTURE = Picture(
    NOW, "/home/u/h", "/home/u/h/config.yaml", "/home/u/h/config.yaml", True, "drain", PROXY, (),
    ("the strategy is drain",), (WORK, SPARE, SICK),
)  # fmt: skip


def page(picture: Picture = PICTURE, width: int = 80, colour: bool = False) -> str:
    out = Console(
        file=io.StringIO(), width=width, color_system="standard" if colour else None, force_terminal=colour, emoji=False
    )
    out.print(render(picture, width), crop=False)
    assert isinstance(out.file, io.StringIO)
    return "\n".join(text.rstrip() for text in out.file.getvalue().splitlines())


def test_80_columns_hold_everything() -> None:
    assert (
        page()
        == """\
proxy     http://127.0.0.1:8080   pid 7, up 2 min
config    /home/u/h/config.yaml
balancing on, strategy drain
work      3 of 64 running, 1 of 100 waiting, 1 open socket
commands  the strategy is drain

   ACCOUNT          STATE     DETAIL
▶  anthropic/work   ready     5h ████░░░░ 42%   resets in 2 h 00 min
                              7d ████████ 95%   resets in 3 d 00 h
                              active, 2 running, 1 session, used 12 s ago, 0.8 s
                              to first token, health 0.98
                              today 3 answers, tokens 100 in, 50 out
   anthropic/spare  cooling   back in 50 min: QuotaExhausted: usage
   anthropic/sick   failing   breaker open, a probe in 25 s
                              last error 5 s ago, 5 in a row: 502
                              TransportFailure, connect: refused"""
    )


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    text = page(width=width)
    assert all(len(row) <= width for row in text.splitlines()[2:])
    words = set(re.findall(r"[\w/.]+", page(width=200)))
    assert words - set(re.findall(r"[\w/.]+", text)) <= {"ACCOUNT", "STATE", "LIMITS", "DETAIL"}


def test_a_wide_terminal_has_the_limits_beside_the_rest() -> None:
    (row,) = [text for text in page(width=140).splitlines() if "42%" in text]
    assert "resets in 2 h 00 min" in row and "2 running" in row


def test_colours_tell_states_and_full_windows_and_only_where_they_are_wanted() -> None:
    coloured = page(colour=True)
    assert "\x1b[32mready" in coloured and "\x1b[33mcooling" in coloured and "\x1b[31mfailing" in coloured
    assert re.search(r"\x1b\[32m█+░+ 42%", coloured) and re.search(r"\x1b\[31m█+ 95%", coloured)
    assert "\x1b" not in page()
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [row.rstrip() for row in plain.splitlines()] == page().splitlines()


def test_what_keeps_everything_from_working_stands_in_the_head() -> None:
    broken = dataclasses.replace(
        PICTURE,
        balancing=False,
        proxy=None,
        problems=("/home/u/h/config.yaml:3: nonsense",),
        config_problem=True,
        accounts=(),
    )
    text = page(broken)
    assert "none runs; start one:" in text
    assert "off: the active account serves, without failover" in text
    assert "the configuration has a mistake, the running one stays:\n          config.yaml:3: nonsense" in text
    assert "none: everything passes through untouched" in text


def test_the_marker_is_for_those_who_serve() -> None:
    paused = dataclasses.replace(WORK, state="paused")
    text = page(dataclasses.replace(PICTURE, accounts=(paused,)))
    assert "▶" not in text and "active," not in text and "paused" in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "anthropic/work · ████ 95% · 1 of 3 ready · anthropic/spare back in 50 min · 1 waiting"),
        ({"proxy": None, "accounts": ()}, "balancer · 0 of 0 ready · no proxy runs"),
        (
            {"balancing": False, "config_problem": True, "problems": ("x",), "accounts": (WORK,)},
            "anthropic/work · ████ 95% · 1 of 1 ready · 1 waiting · balancing is off · the configuration has a mistake",
        ),
        (
            {"problems": ("x",), "accounts": (dataclasses.replace(WORK, usage=UsagePicture()),)},
            "anthropic/work · ──── -- · 1 of 1 ready · 1 waiting · there is a problem",
        ),
    ],
)
def test_the_line(changes: dict[str, Any], told: str) -> None:
    assert line(dataclasses.replace(PICTURE, **changes)) == told


def test_the_line_names_the_account_that_was_used_last() -> None:
    other = account("g", provider="gemini", active=True, last_used=NOW - 1)
    assert line(dataclasses.replace(PICTURE, accounts=(WORK, other))).startswith("gemini/g ")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text("version: 1\naccounts: [{provider: anthropic, alias: work, credential: CANARY}]")
    (home / "config.yaml").chmod(0o600)
    return home


def test_watch_draws_in_place_sees_news_and_ends_cleanly(home: Path) -> None:
    """On a terminal of its own: the other screen, no clearing, the cursor back, the last picture left behind."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*BALANCER, "status", "--watch"], env=environ(home, TERM="xterm-256color"), stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    seen = _until(main, "anthropic/work")
    (home / "config.yaml").write_text("accounts: 7")
    seen += _until(main, "the configuration is not usable")
    (home / "config.yaml").write_text("version: 1\naccounts: [{provider: openai, alias: news, credential: CANARY}]")
    seen += _until(main, "openai/news")
    process.send_signal(signal.SIGINT)
    seen += _until(main, "")
    assert process.wait(10) == 0
    os.close(main)

    assert [seen.count(code) for code in ("\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h")] == [1, 1, 1, 1]
    assert "\x1b[2J" not in seen, "clearing the screen flickers"
    assert "openai/news" in seen.rpartition("\x1b[?1049l")[2]
    assert "Traceback" not in seen and "CANARY" not in seen


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_colours_unless_it_wants_none(home: Path, more: dict[str, str], coloured: bool) -> None:
    """Nor anything bold, which is an escape code too."""
    main, side = pty.openpty()
    variables = environ(home, **({"TERM": "xterm-256color"} | more))
    process = subprocess.Popen([*BALANCER, "inspect", "work"], env=variables, stdin=side, stdout=side, stderr=side)
    os.close(side)
    seen = _until(main, "")
    assert process.wait(10) == 0
    os.close(main)
    assert "anthropic/work" in seen
    assert ("\x1b[" in seen) is coloured


def test_watch_tells_no_line_of_json_because_of_the_clock(home: Path) -> None:
    store, now = Store.open(home), time.time()
    store.save_cooldown(CooldownRow("anthropic/work", "", now + 900, now, 900, "RateLimited: slow down"))
    store.close()
    process = subprocess.Popen(
        [*BALANCER, "status", "--watch", "--json"], env=environ(home), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=10)
    assert first["accounts"][0]["state"] == "cooling"
    assert rest == ""


def test_watch_into_a_pipe_tells_each_change_once(home: Path) -> None:
    process = subprocess.Popen(
        [*BALANCER, "status", "--watch", "--line"], env=environ(home), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(1.5)
    (home / "config.yaml").write_text("version: 1")
    second = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=10)
    assert (first, second, rest) == (
        "balancer · 1 of 1 ready · no proxy runs\n", "balancer · 0 of 0 ready · no proxy runs\n", "",
    )  # fmt: skip
    assert process.returncode == 0


def _until(terminal: int, text: str, seconds: float = 15.0) -> str:
    """What the terminal shows, up to that text; to its end for an empty one."""
    found, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return found
        found += data.decode(errors="replace")
        if text and text in found:
            return found
    assert not text, f"{text!r} never came: {found!r}"
    return found

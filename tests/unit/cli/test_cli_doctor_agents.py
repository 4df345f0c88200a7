"""`balancer doctor`: what leads agents past the proxy, the agents themselves, and the providers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from doctor_bench import found, laid_out, with_, worst

from mitm_balancer.cli.bus import Proxy
from mitm_balancer.cli.doctor import outside
from mitm_balancer.cli.doctor.agents import agents
from mitm_balancer.cli.doctor.environment import environment, host_of
from mitm_balancer.cli.doctor.model import Bench, Finding, Level
from mitm_balancer.cli.doctor.outside import Visit
from mitm_balancer.cli.doctor.settings import settings
from mitm_balancer.upstream.fake import FakeUpstream, Reply


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return laid_out(tmp_path)


# -- the environment --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "level", "part"),
    [
        ({"NO_PROXY": "localhost,127.0.0.1"}, "ok", "nothing"),
        ({"NO_PROXY": ".anthropic.com"}, "warn", "api.anthropic.com"),
        ({"no_proxy": "*"}, "warn", "api.anthropic.com"),
        ({"ANTHROPIC_BASE_URL": "https://api.anthropic.com"}, "ok", "nothing"),
        ({"ANTHROPIC_BASE_URL": "http://localhost:4000/v1"}, "warn", "localhost"),
        ({"OPENAI_API_BASE": "gateway.example/v1"}, "warn", "gateway.example"),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, "warn", "Bedrock"),
        ({"CLAUDE_CODE_USE_BEDROCK": "0"}, "ok", "nothing"),
        ({"BALANCER_PROXY": "http://127.0.0.1:9"}, "warn", "none of this home runs"),
        ({"HTTPS_PROXY": "http://corp:3128"}, "ok", "goes out through it"),
        ({"ALL_PROXY": "socks5://x:1"}, "warn", "SOCKS"),
        ({"SSL_CERT_FILE": "/none.pem"}, "warn", "does not exist"),
        ({"NODE_TLS_REJECT_UNAUTHORIZED": "0"}, "warn", "anybody"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_traps_of_the_environment(bench: Bench, environ: dict[str, str], level: str, part: str) -> None:
    assert worst(environment, with_(bench, environ=environ)) == level
    assert part in " ".join(text for _, text in found(environment, with_(bench, environ=environ)))


def test_a_proxy_that_moved(bench: Bench) -> None:
    proxy = Proxy(1, "127.0.0.1", 8081, Path("/ca"))
    here = with_(bench, proxy=proxy, environ={"BALANCER_PROXY": "http://127.0.0.1:8080"})
    assert "is at http://127.0.0.1:8081 now" in found(environment, here)[0][1]
    there = with_(bench, proxy=proxy, environ={"BALANCER_PROXY": proxy.url, "HTTPS_PROXY": proxy.url})
    assert worst(environment, there) == "ok"


def test_hosts_of_odd_addresses() -> None:
    assert [host_of(url) for url in ("https://[", "", "a.b/c", "http://u:p@h:1/")] == ["", "", "a.b", "h"]


@pytest.mark.parametrize(
    ("file", "text", "part"),
    [
        ("user/.claude/settings.json", '{"env": {"HTTPS_PROXY": "http://x:1"}}', "overrides what exec sets"),
        ("user/.claude/settings.json", '{"env": {"NODE_EXTRA_CA_CERTS": "/x"}}', "too late for TLS"),
        ("work/.claude/settings.local.json", '{"env": {"ANTHROPIC_BASE_URL": "https://x.example"}}', "elsewhere"),
        ("user/.claude/settings.json", '{"env": {"CLAUDE_CODE_USE_VERTEX": "1"}}', "Vertex"),
        (
            "user/.codex/config.toml",
            'model_provider = "c"\n[model_providers.c]\nbase_url = "https://c.example/v1"',
            "c.example (model_providers.c.base_url)",
        ),
        ("user/.codex/config.toml", 'chatgpt_base_url = "https://c.example"', "chatgpt_base_url"),
        (
            "user/.config/opencode/opencode.json",
            '{\n// mine\n"provider": {"x": {"options": {"baseURL": "https://o.example/v1"}}}}',
            "opencode's x to o.example",
        ),
        ("user/.gemini/settings.json", '{"proxy": "http://x:1"}', "proxy of its own"),
        ("user/.gemini/.env", "export GOOGLE_GEMINI_BASE_URL='https://g.example'", "Gemini CLI elsewhere"),
        ("user/.aider.conf.yml", "openai-api-base: https://a.example/v1", "aider to a.example"),
        ("work/.aider.conf.yml", "verify-ssl: false", "turns TLS checks off"),
    ],
)
def test_settings_files(bench: Bench, file: str, text: str, part: str) -> None:
    assert worst(settings, bench) == "ok"
    path = bench.home.parent / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    ((level, told),) = found(settings, bench)
    assert (level, part in told, str(path) in told) == ("warn", True, True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"env": [], "proxy": 1, "provider": {"x": 1}}', "\x00\xff"])
def test_odd_settings_files_are_not_ours_to_judge(bench: Bench, text: str) -> None:
    for name in (
        ".claude/settings.json",
        ".codex/config.toml",
        ".config/opencode/opencode.json",
        ".gemini/settings.json",
    ):
        path = bench.user_home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert worst(settings, bench) == "ok"


# -- agents -----------------------------------------------------------------------------------------------------------


def program(bench: Bench, name: str, script: str) -> None:
    path = Path(bench.environ["PATH"]) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_agents_are_found_with_their_version_and_their_line(bench: Bench) -> None:
    assert worst(agents, bench) == "ok"
    program(bench, "claude", "echo '2.1.197 (Claude Code)'")
    program(bench, "copilot", "echo 'GitHub Copilot CLI 1.0.102.'")
    program(bench, "codex", "exit 3")
    laid = with_(bench, command="balancer --home H", environ={**bench.environ, "ANTHROPIC_API_KEY": "x"})
    claude, codex, copilot = agents(laid)
    assert (claude.text, claude.cure) == ("Claude Code 2.1.197", "balancer --home H exec -- claude")
    assert codex.level is Level.WARN
    assert copilot.text == "Copilot CLI 1.0.102"
    claude = next(agents(bench))
    assert "without a key or login of its own" in claude.text
    assert "ANTHROPIC_API_KEY=placeholder" in claude.cure


def test_an_agent_that_hangs_is_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitm_balancer.cli.doctor.agents.SECONDS", 0.1)
    program(bench, "claude", "exec sleep 5")
    begun = time.monotonic()
    ((level, _),) = found(agents, with_(bench, environ={"PATH": f"{bench.environ['PATH']}:/bin:/usr/bin"}))
    assert (level, time.monotonic() - begun < 3) == ("warn", True)


# -- outside ----------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_without_being_told_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: list[str]) -> list[Visit]:
        raise AssertionError("it went outside")

    monkeypatch.setattr(outside, "_visits", never)
    assert found(outside.reach, bench) == []


def visited(bench: Bench, monkeypatch: pytest.MonkeyPatch, *visits: Visit) -> list[Finding]:
    asked: list[str] = []

    async def visit(hosts: list[str]) -> list[Visit]:
        asked.extend(hosts)
        return list(visits)

    monkeypatch.setattr(outside, "_visits", visit)
    findings = list(outside.reach(with_(bench, online=True)))
    assert asked == ["api.anthropic.com"]
    return findings


@pytest.mark.parametrize(
    ("skews", "level", "part"),
    [
        ((0.5,), "ok", "agrees"),
        ((45.0, 45.0, -9000.0), "warn", "45 s behind"),
        ((-400.0,), "fail", "400 s ahead of"),
    ],
)
def test_the_clock_is_that_of_most_providers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, skews: tuple[float, ...], level: str, part: str
) -> None:
    *_, clock = visited(bench, monkeypatch, *(Visit("h", 0.05, 404, skew) for skew in skews))
    assert (clock.level.value, part in clock.text) == (level, True)


def test_what_cannot_be_reached(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, tls, gone = visited(
        bench,
        monkeypatch,
        Visit("a", 0.0512, 404),
        Visit("b", error="TLS: self-signed certificate", tls=True),
        Visit("c", error="Name or service not known"),
    )
    assert (reached.level, reached.text) == (Level.OK, "a answers (404) in 51 ms")
    assert (tls.level, "SSL_CERT_FILE" in tls.cure) == (Level.FAIL, True)
    assert (gone.level, gone.text) == (Level.FAIL, "c: Name or service not known")


async def test_a_visit_is_a_get_without_a_credential() -> None:
    upstream = FakeUpstream(Reply(404, headers=((b"date", b"Mon, 21 Sep 2026 14:13:20 GMT"),)))
    visit = await outside._visit(upstream, "api.example")
    assert (visit.status, visit.error) == (404, "")
    assert visit.skew == pytest.approx(1_790_000_000 - time.time(), abs=60)
    (asked,) = upstream.asked
    assert (asked.request.method, asked.request.target) == (b"GET", b"/")
    assert {name for name, _ in asked.request.headers} <= {b"host", b"user-agent", b"accept", b"accept-encoding"}

"""The environment of this shell: what keeps an agent from the proxy although `exec` sets it up."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from mitm_balancer.cli.clientenv import BUNDLE, EXTRA, MARK, PROXY
from mitm_balancer.cli.doctor.model import Bench, Findings, ok, warn

BASES = {
    "ANTHROPIC_BASE_URL": "anthropic",
    "OPENAI_BASE_URL": "openai",
    "OPENAI_API_BASE": "openai",
    "GOOGLE_GEMINI_BASE_URL": "gemini",
    "GOOGLE_VERTEX_BASE_URL": "vertex",
    "CODE_ASSIST_ENDPOINT": "codeassist",
    "OPENROUTER_BASE_URL": "openrouter",
    "ANTHROPIC_BEDROCK_BASE_URL": "",
    "ANTHROPIC_VERTEX_BASE_URL": "vertex",
}
"""Variables by which agents and SDKs are led to another address than their provider's own (wire-facts 22.1)."""

SWITCHES = {
    "CLAUDE_CODE_USE_BEDROCK": "Claude Code speaks with Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Claude Code speaks with Vertex",
    "GOOGLE_GENAI_USE_VERTEXAI": "the Google SDK speaks with Vertex",
}


def environment(bench: Bench) -> Findings:
    """Every trap that is set; one `ok` when there is none."""
    found = [*_bypasses(bench), *_bases(bench), *_switches(bench), *_proxies(bench), *_files(bench)]
    yield from found or [ok("environment", "nothing in this shell leads past the proxy")]


def _bypasses(bench: Bench) -> Findings:
    given = bench.environ.get("NO_PROXY") or bench.environ.get("no_proxy") or ""
    past = [host for _, host in bench.hosts if _passes(host, given)]
    if past:
        text = f"NO_PROXY leads past the proxy for {', '.join(past)}"
        yield warn("environment", text, "take these hosts (or * and their domains) out of NO_PROXY")


def _passes(host: str, no_proxy: str) -> bool:
    """By Python's rules, which are those of curl and most others: `*`, a host, or a domain's end."""
    proxies = {"no": no_proxy}
    return bool(no_proxy) and bool(urllib.request.proxy_bypass_environment(host, proxies))  # type: ignore[attr-defined]


def _bases(bench: Bench) -> Findings:
    for name, provider in BASES.items():
        url = bench.environ.get(name, "")
        if is_foreign(bench, url):
            text = f"{name} leads agents to {host_of(url)}, which no account of yours serves"
            cure = f"unset {name}; a gateway of your own is an account's base_url, or a provider, in the configuration"
            yield warn("environment", text, cure if provider else f"unset {name}")


def _switches(bench: Bench) -> Findings:
    for name, what in SWITCHES.items():
        if bench.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
            yield warn("environment", f"{name} is set: {what}, not with your accounts", f"unset {name}")


def _proxies(bench: Bench) -> Findings:
    mark = bench.environ.get(MARK)
    if mark and (bench.proxy is None or bench.proxy.url != mark):
        now = "none of this home runs" if bench.proxy is None else f"the proxy is at {bench.proxy.url} now"
        cure = f"{bench.command} run" if bench.proxy is None else f'eval "$({bench.command} env)"'
        yield warn("environment", f"this shell leads to a balancer at {mark}, but {now}", cure)
    others = {value for name in PROXY if (value := bench.environ.get(name)) and value != mark}
    if others:
        text = "another proxy is set here (HTTPS_PROXY); the balancer goes out through it, agents of exec go to ours"
        yield ok("environment", text)
    if bench.environ.get("ALL_PROXY", bench.environ.get("all_proxy", "")).startswith("socks"):
        cure = "unset ALL_PROXY, or start the balancer with -m upstream:URL of an HTTP proxy"
        yield warn("environment", "ALL_PROXY names a SOCKS proxy, which the balancer cannot go out through", cure)


def _files(bench: Bench) -> Findings:
    for name in (*BUNDLE, EXTRA):
        file = bench.environ.get(name)
        if file and not Path(file).exists():
            yield warn("environment", f"{name} names {file}, which does not exist: TLS fails", f"unset {name}")
    if bench.environ.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        text = "NODE_TLS_REJECT_UNAUTHORIZED=0: agents of node take anybody for their provider"
        yield warn("environment", text, "unset NODE_TLS_REJECT_UNAUTHORIZED: the proxy's CA needs no such thing")


def is_foreign(bench: Bench, url: str) -> bool:
    """Whether an address is none that an account of the user serves."""
    host = host_of(url)
    return bool(host) and host not in {known for _, known in bench.hosts}


def host_of(url: str) -> str:
    """The host of a URL, or of an address without a scheme; "" when there is none."""
    try:
        return urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""

"""Settings files of agents that lead past the proxy, or set what must be set in the shell (wire-facts 22.1)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mitm_balancer.cli.clientenv import BUNDLE, EXTRA, PROXY
from mitm_balancer.cli.doctor.environment import BASES, SWITCHES, host_of, is_foreign
from mitm_balancer.cli.doctor.model import Bench, Findings, ok, warn

LARGEST = 2**20
"""Bytes of a settings file that is read."""


def settings(bench: Bench) -> Findings:
    """Every file that is there is read; what cannot be read is not ours to judge."""
    found = [*_claude(bench), *_codex(bench), *_opencode(bench), *_gemini(bench), *_aider(bench)]
    yield from found or [ok("settings", "no agent's settings lead past the proxy")]


def _claude(bench: Bench) -> Findings:
    """`env` of its settings overrides the shell, and comes too late for TLS."""
    own = bench.environ.get("CLAUDE_CONFIG_DIR")
    folder = Path(own) if own else bench.user_home / ".claude"
    files = [folder / "settings.json", folder / "settings.local.json"]
    files += [bench.folder / ".claude" / name for name in ("settings.json", "settings.local.json")]
    files.append(Path("/etc/claude-code/managed-settings.json"))
    for file in dict.fromkeys(files):
        stated = _json(file).get("env")
        if isinstance(stated, dict):
            yield from _variables(bench, file, "Claude Code", stated)


def _variables(bench: Bench, file: Path, agent: str, stated: Mapping[str, Any]) -> Findings:
    for name in stated:
        if name in (*PROXY, "NO_PROXY", "no_proxy"):
            text = f"{file} sets {name}, which overrides what exec sets for {agent}"
            yield warn("settings", text, f"take {name} out of it")
        elif name in (*BUNDLE, EXTRA):
            yield warn(
                "settings", f"{file} sets {name}: too late for TLS, it is ignored", "set it in the shell; exec does"
            )
        elif name in BASES and is_foreign(bench, str(stated[name])):
            yield warn("settings", f"{file} leads {agent} elsewhere ({name})", f"take {name} out of it")
        elif name in SWITCHES and str(stated[name]).lower() in ("1", "true"):
            yield warn("settings", f"{file} sets {name}: {SWITCHES[name]}", f"take {name} out of it")


def _codex(bench: Bench) -> Findings:
    own = bench.environ.get("CODEX_HOME")
    file = (Path(own) if own else bench.user_home / ".codex") / "config.toml"
    data = _toml(file)
    chosen, providers = data.get("model_provider"), data.get("model_providers")
    entry = providers.get(chosen) if isinstance(providers, dict) and isinstance(chosen, str) else None
    urls = {"chatgpt_base_url": data.get("chatgpt_base_url"), "openai_base_url": data.get("openai_base_url")}
    if isinstance(entry, dict):
        urls[f"model_providers.{chosen}.base_url"] = entry.get("base_url")
    for key, url in urls.items():
        if isinstance(url, str) and is_foreign(bench, url):
            yield warn("settings", f"{file} leads Codex to {host_of(url)} ({key})", f"take {key} out of it")


def _opencode(bench: Bench) -> Findings:
    base = Path(bench.environ.get("XDG_CONFIG_HOME") or bench.user_home / ".config") / "opencode"
    files = [base / "opencode.json", base / "opencode.jsonc", bench.folder / "opencode.json"]
    for file in files:
        providers = _json(file).get("provider")
        for name, entry in providers.items() if isinstance(providers, dict) else ():
            options = entry.get("options") if isinstance(entry, dict) else None
            url = options.get("baseURL") if isinstance(options, dict) else None
            if isinstance(url, str) and is_foreign(bench, url):
                text = f"{file} leads opencode's {name} to {host_of(url)}"
                yield warn("settings", text, f"take provider.{name}.options.baseURL out of it, or declare that host")


def _gemini(bench: Bench) -> Findings:
    folder = bench.user_home / ".gemini"
    if isinstance(_json(folder / "settings.json").get("proxy"), str):
        text = f"{folder / 'settings.json'} sets a proxy of its own, which overrides HTTPS_PROXY"
        yield warn("settings", text, "take `proxy` out of it")
    for file in (folder / ".env", bench.folder / ".gemini" / ".env"):
        yield from _variables(bench, file, "Gemini CLI", dict(_env_lines(file)))


def _aider(bench: Bench) -> Findings:
    for file in (bench.user_home / ".aider.conf.yml", bench.folder / ".aider.conf.yml"):
        for key, url in re.findall(r"(?m)^\s*([a-z-]*api-base)\s*:\s*[\"']?(\S+?)[\"']?\s*$", _text(file)):
            if is_foreign(bench, url):
                yield warn("settings", f"{file} leads aider to {host_of(url)} ({key})", f"take {key} out of it")
        if re.search(r"(?m)^\s*verify-ssl\s*:\s*false", _text(file)):
            yield warn("settings", f"{file} turns TLS checks off (verify-ssl: false)", "take it out: exec sets the CA")


def _env_lines(file: Path) -> Iterator[tuple[str, str]]:
    for line in _text(file).splitlines():
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and not name.startswith("#"):
            yield name.strip(), value.strip().strip("\"'")


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace") if file.stat().st_size <= LARGEST else ""
    except OSError:
        return ""


def _json(file: Path) -> dict[str, Any]:
    """A JSON object, with whole-line comments as opencode allows them; {} for anything else."""
    try:
        data = json.loads(re.sub(r"(?m)^\s*//.*$", "", _text(file)))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(file))
    except (ValueError, RecursionError):
        return {}

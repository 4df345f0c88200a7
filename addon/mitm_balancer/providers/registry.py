"""Which provider answers for a host: the built-in table, and the lookup over it plus the user's own providers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mitm_balancer.providers import (
    anthropic,
    azure,
    cerebras,
    codeassist,
    codex,
    copilot,
    deepseek,
    fireworks,
    gemini,
    groq,
    minimax,
    mistral,
    moonshot,
    openai,
    opencode,
    openrouter,
    qwen,
    together,
    vertex,
    xai,
    zai,
)
from mitm_balancer.providers.defaults import complete
from mitm_balancer.providers.model import Provider

HTTPS_PORT = 443

BUILTIN: tuple[Provider, ...] = (
    anthropic.PROVIDER,
    openai.PROVIDER,
    codex.PROVIDER,
    copilot.PROVIDER,
    gemini.PROVIDER,
    codeassist.PROVIDER,
    vertex.PROVIDER,
    openrouter.PROVIDER,
    groq.PROVIDER,
    mistral.PROVIDER,
    mistral.CODESTRAL,
    deepseek.PROVIDER,
    xai.PROVIDER,
    xai.GROK,
    together.PROVIDER,
    fireworks.PROVIDER,
    cerebras.PROVIDER,
    moonshot.PROVIDER,
    moonshot.CHINA,
    moonshot.KIMI,
    zai.PROVIDER,
    zai.CHINA,
    qwen.PROVIDER,
    qwen.CHINA,
    qwen.US,
    qwen.CODING,
    qwen.OAUTH,
    minimax.PROVIDER,
    minimax.CHINA,
    opencode.PROVIDER,
    azure.PROVIDER,
)
BUILTIN_NAMES: frozenset[str] = frozenset(provider.name for provider in BUILTIN)


class Registry:
    """An immutable lookup; a changed configuration makes a new one. Earlier providers win over later ones.

    Providers of the user's own are completed with the tables of their dialect (`defaults.complete`).
    """

    __slots__ = ("_by_name", "_exact", "_globs", "_suffixes")

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._by_name: dict[str, Provider] = {}
        self._exact: dict[tuple[str, int], tuple[Provider, ...]] = {}
        self._suffixes: dict[tuple[str, int], tuple[Provider, ...]] = {}
        self._globs: dict[int, list[tuple[re.Pattern[str], Provider]]] = {}
        for provider in map(complete, providers):
            if provider.name in self._by_name:
                raise ValueError(f"two providers are named {provider.name!r}")
            self._by_name[provider.name] = provider
            for entry in dict.fromkeys(provider.hosts):
                host, port = split_host(entry)
                if "*" in host.removeprefix("*."):
                    self._globs.setdefault(port, []).append((_inside_labels(host), provider))
                    continue
                table, name = (self._suffixes, host[2:]) if host.startswith("*.") else (self._exact, host)
                table[name, port] = (*table.get((name, port), ()), provider)

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Provider | None:
        """The provider of that name, or None."""
        return self._by_name.get(name)

    def claim(self, host: str, port: int) -> tuple[Provider, ...]:
        """Every provider that claims this host and port: exact entries first, then globs, then the longest `*.suffix`.

        `*.suffix` stands for one label or more before the suffix, never for the suffix itself.
        """
        name = host.rstrip(".").lower()
        found = dict.fromkeys(self._exact.get((name, port), ()))
        for pattern, provider in self._globs.get(port, ()):
            if pattern.fullmatch(name):
                found[provider] = None
        while "." in name:
            name = name.partition(".")[2]
            found.update(dict.fromkeys(self._suffixes.get((name, port), ())))
        return tuple(found)


def _inside_labels(host: str) -> re.Pattern[str]:
    """`*-aiplatform.googleapis.com`, `aiplatform.*.rep.googleapis.com`: the star crosses no dot."""
    return re.compile("[a-z0-9-]+".join(re.escape(part) for part in host.split("*")))


def split_host(entry: str) -> tuple[str, int]:
    """`host`, `host:port` or `[v6]:port` -> (lower-case host without brackets, port); without a port it is 443."""
    head, colon, tail = entry.strip().lower().rpartition(":")
    if colon and tail.isdigit() and (":" not in head or head.endswith("]")):
        return head.strip("[]"), int(tail)
    return entry.strip().lower().strip("[]"), HTTPS_PORT

"""Where a dialect's main requests enter at a provider: the same question, asked at another provider's address.

Only the main requests of a dialect can be moved: stored resources, sockets and catalogues mean something else there.
The addresses come from the path tables, so there is one place that knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.providers.model import PathKind, PathRule, Provider

_MAIN = {
    Dialect.ANTHROPIC_MESSAGES: "/messages",
    Dialect.OPENAI_CHAT: "/chat/completions",
    Dialect.OPENAI_RESPONSES: "/responses",
}
_BESIDE = {Dialect.ANTHROPIC_MESSAGES: ("/messages/count_tokens",)}
_GEMINI = re.compile(r"/models/(?P<model>[^/:]+)(?P<call>:(?:generateContent|streamGenerateContent|countTokens))$")
_GEMINI_CALL = ":generateContent"


@dataclass(frozen=True, slots=True)
class Question:
    """A main request of a dialect, without its address."""

    dialect: Dialect
    suffix: str
    """What follows the base path; of Gemini's only `:generateContent` and its like, behind the model."""

    def path(self, base: str, model: str) -> str:
        """Its path below a base path."""
        return f"{base}/models/{model}{self.suffix}" if self.dialect is Dialect.GEMINI else base + self.suffix


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a question goes."""

    path: str
    rule: PathRule


def question(dialect: Dialect, method: str, path: str) -> Question | None:
    """What this request asks (`path` without its query); None: nothing that another provider could be asked."""
    if method != "POST":
        return None
    if dialect is Dialect.GEMINI:
        found = _GEMINI.search(path)
        return None if found is None else Question(dialect, found["call"])
    suffixes = (_MAIN[dialect], *_BESIDE.get(dialect, ()))
    return next((Question(dialect, suffix) for suffix in suffixes if path.endswith(suffix)), None)


def main_question(dialect: Dialect) -> Question:
    """The dialect's own."""
    return Question(dialect, _GEMINI_CALL if dialect is Dialect.GEMINI else _MAIN[dialect])


def entry(provider: Provider, asked: Question, model: str) -> Entry | None:
    """Where `provider` takes this question; None: it does not."""
    found = (entry_at(provider, asked, base, model) for base in _bases(provider, asked.dialect))
    return next((entry for entry in found if entry is not None), None)


def entry_at(provider: Provider, asked: Question, base: str, model: str) -> Entry | None:
    """The same below one base path; None: `base` is none where this dialect is spoken."""
    path = asked.path(base.rstrip("/"), model)
    rule = provider.rule_for("POST", path)
    return Entry(path, rule) if rule is not None and _is_main(provider, rule, asked.dialect) else None


def dialects(provider: Provider) -> frozenset[Dialect]:
    """Those that are spoken on its balanced paths."""
    return frozenset(rule.dialect or provider.dialect for rule in provider.paths if rule.kind is PathKind.INFERENCE)


def _bases(provider: Provider, dialect: Dialect) -> Iterator[str]:
    """Base paths, the most certain first: stated, read from a row that spells the path out, guessed from a glob."""
    yield from (base for spoken, base in provider.entries if spoken is dialect)
    rules = [rule for rule in provider.paths if _is_main(provider, rule, dialect)]
    main = _MAIN.get(dialect)
    if main is not None:
        yield from (r.pattern.removesuffix(main) for r in rules if r.pattern.endswith(main) and not _is_glob(r.pattern))
    for rule in rules:
        base = rule.pattern.removesuffix("*").rstrip("/")
        if rule.pattern.endswith("/*") and not _is_glob(base):
            yield base or ("/v1beta" if dialect is Dialect.GEMINI else "/v1")


def _is_main(provider: Provider, rule: PathRule, dialect: Dialect) -> bool:
    spoken = rule.dialect or provider.dialect
    return rule.kind is PathKind.INFERENCE and spoken is dialect and (not rule.methods or "POST" in rule.methods)


def _is_glob(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")

"""The words of a usage poll: an account asks some questions, reads the answers, and comes to a finding.

A poll is a generator that yields `Question`s and gets `Answer`s, so it knows no network and no clock; `run` drives it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mitm_balancer.core import resets
from mitm_balancer.providers.limits import Window
from mitm_balancer.secrets import Secret

EXACT = "exact"
UNAVAILABLE = "unavailable"

MOST_WINDOWS = 40
"""Of one answer: what a provider invents must not fill the table of windows."""


class AskError(Exception):
    """A question got no answer. The text is for people and holds nothing of the question."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An account as a poll needs it."""

    name: str
    """provider/alias"""
    provider: str
    kind: str
    """"api", "oauth" or "wellknown"."""
    secret: Secret
    refresh: Secret | None = None
    """Copilot: the GitHub token, from which the API token was made."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """`account_id`, `project`, `github_org`, `enterprise_url`, ..."""
    base: str = ""
    """The account's own `base_url`: its credential belongs there and goes nowhere else."""

    @property
    def is_paced(self) -> bool:
        """Whether it is asked without somebody's wish: a gateway of the user's own seldom has the vendor's endpoint."""
        return not self.base or (urlsplit(self.base).hostname or "").endswith(".githubcopilot.com")

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.secret,) if self.refresh is None else (self.secret, self.refresh)

    def url(self, origin: str, path: str) -> str:
        """A question to the host that serves its requests: its own base, else the vendor's `origin`.

        What the end of the base and the beginning of the path share stands once, as in the attempts.
        """
        base = self.base.rstrip("/") or origin
        have = urlsplit(base).path.strip("/").split("/")
        want = path.lstrip("/").split("/")
        for size in range(min(len(have), len(want) - 1), 0, -1):
            if have[-size:] == want[:size]:
                want = want[size:]
                break
        return "/".join([base, *want])


@dataclass(frozen=True, slots=True)
class Question:
    """One request. Header names as they go out."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    now: float = 0.0
    """The provider's own clock at this answer, unix seconds."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def data(self) -> dict[str, Any]:
        """The JSON object of the body; {} when it is something else."""
        value = self.raw
        return value if isinstance(value, dict) else {}

    @property
    def raw(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the provider asks to wait."""
        return resets.retry_after(dict(self.headers), server_now=self.now)

    def wait(self, reset: float | None) -> float | None:
        """Seconds from now to a reset in unix seconds."""
        return None if reset is None else resets.clamp(reset - self.now)


@dataclass(frozen=True, slots=True)
class Amount:
    """Something counted that is no window: a balance, credits, what was spent. What is not stated is None."""

    name: str
    used: float | None = None
    remaining: float | None = None
    limit: float | None = None
    unit: str = ""
    unlimited: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a poll has come to."""

    confidence: str
    """`exact` or `unavailable`."""
    message: str
    plan: str = ""
    windows: tuple[Window, ...] = ()
    """Their `wait` counts from the answer."""
    amounts: tuple[Amount, ...] = ()
    raw: tuple[Any, ...] = ()
    """The JSON of each answer, not redacted yet: it must not leave the memory so."""
    wait: float | None = None
    """Seconds that the provider asked to wait."""
    settled: bool = False
    """It will say the same tomorrow: this credential has no such numbers."""


def unavailable(message: str, *answers: Answer, settled: bool = False) -> Finding:
    """Nothing was learnt, and why; the longest wait that the answers ask for counts."""
    waits = [wait for answer in answers if (wait := answer.retry_after) is not None]
    raw = tuple(found for answer in answers if (found := answer.raw) is not None)
    return Finding(UNAVAILABLE, message, raw=raw, wait=max(waits, default=None), settled=settled)


def refused(what: str, answer: Answer) -> Finding:
    """`what` failed with the status of this answer. 401, 403 and 404 stay so until the credential changes."""
    message = f"{what} request failed with HTTP {answer.status}."
    return unavailable(message, answer, settled=answer.status in (401, 403, 404))


type Asking = Generator[Question, Answer, Finding]
type Ask = Callable[[Question], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Poll:
    """A provider's way of telling, and how often it may be asked. Seconds."""

    asking: Callable[[Subject, float], Asking]
    """The account, and unix time."""
    every: float = 0.0
    """At least so long between two paced polls."""
    on_demand: float = 10.0
    """At least so long before somebody's wish asks again."""
    quiet: float = 0.0
    """No paced poll when an answer's headers were heard within that time: they tell the same."""


async def run(asking: Asking, ask: Ask) -> Finding:
    """Ask what it wants to know, until it knows. Raises what `ask` raises."""
    try:
        question = next(asking)
        while True:
            question = asking.send(await ask(question))
    except StopIteration as end:
        finding: Finding = end.value
        return finding

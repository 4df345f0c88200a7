"""What several end-to-end tests share: the four dialects as real clients speak them, accounts in rows, answers read."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.h2client import H2Answer, H2Client
from e2e.harness import Proxy, account, config
from e2e.rawclient import RawAnswer, RawClient
from mitm_balancer.testing import FakeProvider

type Client = RawClient | H2Client
type AnyAnswer = RawAnswer | H2Answer

PROTOCOLS = ("h1", "h2")


@dataclass(frozen=True, slots=True)
class Speech:
    """One dialect: where a client sends it, with what, and what marks an event that carries text."""

    name: str
    provider: str
    host: str
    path: str
    stream_path: str
    credential: tuple[str, str]
    """The client's own, which must never arrive at the provider of an account."""
    text_mark: bytes
    fields: Callable[[], dict[str, Any]]

    def request(self, *, stream: bool, test_id: str = "") -> tuple[str, str, list[tuple[str, str]], bytes]:
        """Method, target, headers, body: the arguments of `client.request`."""
        body = self.fields() | ({"stream": True} if stream and self.stream_path == self.path else {})
        headers = [("content-type", "application/json"), self.credential]
        if test_id:
            headers.append(("x-test-id", test_id))
        return "POST", self.stream_path if stream else self.path, headers, json.dumps(body).encode()


ANTHROPIC = Speech(
    "anthropic-messages",
    "anthropic",
    "api.anthropic.com",
    "/v1/messages",
    "/v1/messages",
    ("x-api-key", "CLIENT-OWN"),
    b"text_delta",
    lambda: {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
)
CHAT = Speech(
    "openai-chat",
    "openai",
    "api.openai.com",
    "/v1/chat/completions",
    "/v1/chat/completions",
    ("authorization", "Bearer CLIENT-OWN"),
    b'"content":',
    lambda: {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]},
)
RESPONSES = Speech(
    "openai-responses",
    "openai",
    "api.openai.com",
    "/v1/responses",
    "/v1/responses",
    ("authorization", "Bearer CLIENT-OWN"),
    b"output_text.delta",
    lambda: {"model": "gpt-5", "input": "hi"},
)
GEMINI = Speech(
    "gemini",
    "gemini",
    "generativelanguage.googleapis.com",
    "/v1beta/models/gemini-2.5-flash:generateContent",
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    ("x-goog-api-key", "CLIENT-OWN"),
    b'"text":',
    lambda: {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
)
SPEECHES = (ANTHROPIC, CHAT, RESPONSES, GEMINI)


def key_of(label: str) -> str:
    return f"KEY-{label.upper()}"


def accounts_of(fake: FakeProvider, provider: str, count: int, **fields: Any) -> list[dict[str, Any]]:
    """`count` accounts `<provider>0`, `<provider>1`, ... in this order, known to the fake under the same labels."""
    made = []
    for number in range(count):
        label = f"{provider}{number}"
        fake.labels[key_of(label)] = label
        made.append(account(provider, label, key_of(label), fake, priority=number, **fields))
    return made


async def dial(proxy: Proxy, protocol: str, host: str) -> Client:
    return await (proxy.dial(host) if protocol == "h1" else proxy.dial_h2(host))


def told(answer: AnyAnswer) -> tuple[str, int]:
    """What `x-balancer` says: the account's alias and the number of attempts."""
    values = [value for name, value in answer.headers if name.lower() == b"x-balancer"]
    assert len(values) == 1, f"x-balancer stands {len(values)} times"
    found = re.fullmatch(rb"request=[0-9a-f]{12}; account=(\S+); attempts=(\d+)", values[0])
    assert found, values[0]
    return found[1].decode(), int(found[2])


def came_one_by_one(answer: AnyAnswer, mark: bytes, events: int, gap: float) -> None:
    """The events arrived as the provider sent them, `gap` seconds apart, and not in bunches."""
    arrived_one_by_one([at for at, data in answer.chunks if mark in data], events, gap)


def arrived_one_by_one(times: Sequence[float], events: int, gap: float) -> None:
    """More than half of the events came by themselves, and all over the whole time that the provider took.

    Not all: on a busy machine this very process may sleep through two of them. Whatever holds events back, were it
    every second one, fails.
    """
    waits = [after - before for before, after in itertools.pairwise(times)]
    apart = 1 + sum(seconds > gap / 3 for seconds in waits)
    assert apart > events / 2, f"{events} events came in {apart} bunches: {[f'{seconds:.3f}' for seconds in waits]}"
    assert sum(waits) > 0.7 * gap * (events - 1), f"all came within {sum(waits):.3f} s"


@dataclass(frozen=True, slots=True, eq=False)
class Corner:
    """A provider of its own with two accounts or more, so that what one case does decides nothing for the next."""

    name: str
    speech: Speech
    labels: tuple[str, ...]
    section: dict[str, Any]
    accounts: tuple[dict[str, Any], ...]

    @property
    def host(self) -> str:
        return f"{self.name}.example"


def corner(fake: FakeProvider, name: str, speech: Speech, urls: Sequence[str | None] = (None, None)) -> Corner:
    """One account for each of `urls`: the base URL of its attempts, None for the fake's."""
    labels = tuple(f"{name}-{letter}" for letter, _ in zip("abcdef", urls, strict=False))
    fake.labels.update({key_of(label): label for label in labels})
    section = {"hosts": [f"{name}.example"], "dialect": speech.name, "auth": "bearer", "paths": ["/*"]}
    accounts = tuple(
        account(name, label, key_of(label), fake, **({"base_url": url} if url else {}))
        for label, url in zip(labels, urls, strict=True)
    )
    return Corner(name, speech, labels, section, accounts)


def config_of(corners: Sequence[Corner], **sections: Any) -> str:
    """A configuration with all of them."""
    accounts = [one for where in corners for one in where.accounts]
    return config(*accounts, providers={where.name: where.section for where in corners}, **sections)


async def ask(proxy: Proxy, where: Corner, *, stream: bool) -> RawAnswer:
    """One request on a connection of its own; its test id is the corner's name."""
    async with await proxy.dial(where.host) as client:
        return await client.request(*where.speech.request(stream=stream, test_id=where.name))


async def until(check: Callable[[], object | Awaitable[object]], what: str = "it", seconds: float = 20.0) -> None:
    """Wait until `check` gives something true. Not for how fast it comes: a busy machine takes its time."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        await asyncio.sleep(0.05)


def closed_port_url() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"https://127.0.0.1:{server.getsockname()[1]}"

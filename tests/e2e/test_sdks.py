"""The real SDKs, unchanged, as processes of their own: they notice nothing, or raise what their users expect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.conftest import Launch
from e2e.harness import config, run_sdk
from e2e.helpers import (
    ANTHROPIC,
    CHAT,
    GEMINI,
    RESPONSES,
    Corner,
    Speech,
    accounts_of,
    arrived_one_by_one,
    closed_port_url,
    corner,
)
from mitm_balancer.testing import FakeProvider, steps

EVENTS, GAP = 6, 0.05
AT_ONCE = 1.5
"""Seconds: an SDK that sleeps before a retry takes longer with the waits of these tests."""

DRIVER = """
def run(case):
    begun, times, texts, closed = time.monotonic(), [], [], None
    try:
        if case["how"] == "plain":
            texts.append(plain(case["base"]))
        else:
            pieces = stream(case["base"])
            for text in pieces:
                if text:
                    times.append(time.monotonic())
                    texts.append(text)
                if case["how"] == "cancel":
                    closed = time.monotonic()
                    pieces.close()
                    break
        error = None
    except Exception as e:
        status = getattr(e, "status_code", getattr(e, "code", None))
        error = {"type": type(e).__name__, "status": status, "text": str(e)}
    return {"text": "".join(texts), "times": times, "error": error, "closed": closed,
            "seconds": time.monotonic() - begun}

print(json.dumps({case["name"]: run(case) for case in json.loads(sys.argv[1])}))
"""

ANTHROPIC_SDK = """
import json, sys, time
import anthropic

def client(base):
    return anthropic.Anthropic(**({"base_url": base} if base else {}))

ASK = dict(model="claude-sonnet-4-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}])

def plain(base):
    return client(base).messages.create(**ASK).content[0].text

def stream(base):
    with client(base).messages.stream(**ASK) as events:
        yield from events.text_stream
"""

OPENAI_SDK = """
import json, sys, time
import openai

def client(base):
    return openai.OpenAI(**({"base_url": base + "/v1"} if base else {}))
"""

CHAT_SDK = (
    OPENAI_SDK
    + """
ASK = dict(model="gpt-5", messages=[{"role": "user", "content": "hi"}])

def plain(base):
    return client(base).chat.completions.create(**ASK).choices[0].message.content

def stream(base):
    with client(base).chat.completions.create(**ASK, stream=True) as chunks:
        for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content
"""
)

RESPONSES_SDK = (
    OPENAI_SDK
    + """
ASK = dict(model="gpt-5", input="hi")

def plain(base):
    return client(base).responses.create(**ASK).output_text

def stream(base):
    with client(base).responses.create(**ASK, stream=True) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta
"""
)

GEMINI_SDK = """
import json, sys, time
from google import genai

KEPT = []

def client(base):
    KEPT.append(genai.Client(**({"http_options": {"base_url": base}} if base else {})))
    return KEPT[-1]

ASK = dict(model="gemini-2.5-flash", contents="hi")

def plain(base):
    return client(base).models.generate_content(**ASK).text

def stream(base):
    for chunk in client(base).models.generate_content_stream(**ASK):
        yield chunk.text
"""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK, one of its APIs."""

    name: str
    speech: Speech
    script: str
    limit_error: str
    server_error: str
    retries: bool
    """It waits by itself when an answer says how long, and asks again."""

    @property
    def env(self) -> Mapping[str, str]:
        return {"ANTHROPIC_API_KEY": "CLIENT-OWN", "OPENAI_API_KEY": "CLIENT-OWN", "GEMINI_API_KEY": "CLIENT-OWN"}


SDKS = (
    Sdk("anthropic", ANTHROPIC, ANTHROPIC_SDK, "RateLimitError", "InternalServerError", True),
    Sdk("openai-chat", CHAT, CHAT_SDK, "RateLimitError", "InternalServerError", True),
    Sdk("openai-responses", RESPONSES, RESPONSES_SDK, "RateLimitError", "InternalServerError", True),
    Sdk("google-genai", GEMINI, GEMINI_SDK, "ClientError", "ServerError", False),
)


def _corners(fake: FakeProvider, speech: Speech) -> dict[str, Corner]:
    """A place for each trouble, so that none decides another's outcome."""
    made = {name: corner(fake, name, speech) for name in ("limited", "long", "short", "reset", "cancel", "down")}
    made["two-fail"] = corner(fake, "two-fail", speech, [None] * 3)
    made["refused"] = corner(fake, "refused", speech, [closed_port_url(), None])
    fake.play(made["limited"].labels[0], then=steps.rate_limited(retry_after=600))
    fake.play(made["reset"].labels[0], then=steps.reset_before_head())
    fake.play(made["two-fail"].labels[0], then=steps.rate_limited(retry_after=600))
    fake.play(made["two-fail"].labels[1], then=steps.server_error(503))
    for label in made["long"].labels:
        fake.play(label, then=steps.rate_limited(retry_after=3600))
    for label in made["short"].labels:
        fake.play(label, steps.rate_limited(retry_after=1))
    for label in made["down"].labels:
        fake.play(label, then=steps.server_error(500))
    fake.play(made["cancel"].labels[0], then=steps.stall(1))
    for name in ("limited", "reset", "two-fail", "refused"):
        fake.play(made[name].labels[-1], then=steps.ok(events=EVENTS, gap=GAP))
    return made


def _cases(corners: Mapping[str, Corner]) -> Sequence[dict[str, str]]:
    """The arguments of the driver: a name, how to ask, and where (the SDK's own host, or a corner)."""
    cases = [{"name": "home plain", "how": "plain", "base": ""}, {"name": "home stream", "how": "stream", "base": ""}]
    ways = {"cancel": ("cancel",), "short": ("plain",), "down": ("plain",)}
    for name, where in corners.items():
        base = f"https://{where.host}"
        cases += [{"name": f"{name} {how}", "how": how, "base": base} for how in ways.get(name, ("stream", "plain"))]
    return cases


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
async def test_an_sdk_is_served_whatever_the_first_account_does(fake: FakeProvider, launch: Launch, sdk: Sdk) -> None:
    """Plain, streamed, 429, two failures, a reset, a refused connection: the SDK gets its text, event by event.

    With all accounts out for long it raises its rate-limit error at once; for short it waits as told, and is served.
    A cancelled stream is aborted at the provider at once.
    """
    provider = sdk.speech.provider
    fake.play(f"{provider}0", steps.rate_limited(retry_after=600))
    fake.play(f"{provider}1", then=steps.ok(events=EVENTS, gap=GAP))
    home = accounts_of(fake, provider, 2)
    corners = _corners(fake, sdk.speech)
    accounts = [*home, *(one for where in corners.values() for one in where.accounts)]
    sections = {where.name: where.section for where in corners.values()}
    proxy = await launch(config(*accounts, providers=sections, policy={"hold_ms": 0}))
    done = await run_sdk(sdk.script + DRIVER, proxy, sdk.env, json.dumps(_cases(corners)))
    assert done.code == 0, done.err
    results: dict[str, dict[str, Any]] = done.json()

    served = {"home": f"{provider}1"} | {
        name: corners[name].labels[-1] for name in ("limited", "reset", "two-fail", "refused")
    }
    for name, label in served.items():
        for how in ("plain", "stream"):
            result = results[f"{name} {how}"]
            assert result["error"] is None, (name, how, result["error"])
            assert result["text"] == "".join(f"{label}:{n} " for n in range(EVENTS)), (name, how)
            if how == "stream":
                arrived_one_by_one(result["times"], EVENTS, GAP)
    for how in ("plain", "stream"):
        _raises_at_once(sdk, corners["long"], results[f"long {how}"])
    _short_wait(sdk, corners["short"], results["short plain"])
    assert (results["down plain"]["error"]["type"], results["down plain"]["error"]["status"]) == (sdk.server_error, 500)
    _cancelled(fake, corners["cancel"], results["cancel cancel"])
    assert not fake.ledger.of(None), "the client's own credential reached a provider"


def _raises_at_once(sdk: Sdk, where: Corner, result: Mapping[str, Any]) -> None:
    """An hour to wait: the SDK's own error, without one of its retries, naming the accounts."""
    error = result["error"]
    assert (error["type"], error["status"]) == (sdk.limit_error, 429)
    assert all(label in error["text"] for label in where.labels) and "back in" in error["text"]
    assert result["seconds"] < AT_ONCE


def _short_wait(sdk: Sdk, where: Corner, result: Mapping[str, Any]) -> None:
    """A second to wait: the true `retry-after`, so one sleep of the SDK is enough."""
    if not sdk.retries:
        assert (result["error"]["type"], result["error"]["status"]) == (sdk.limit_error, 429)
        return
    assert result["error"] is None and where.labels[0] in result["text"]
    assert 1.0 <= result["seconds"] < 5


def _cancelled(fake: FakeProvider, where: Corner, result: Mapping[str, Any]) -> None:
    record = fake.ledger.of(where.labels[0])[0]
    assert result["error"] is None and record.client_gone and record.gone_at is not None
    assert record.gone_at - result["closed"] < 0.5
    assert not fake.ledger.of(where.labels[1]), "a client that left was served again"

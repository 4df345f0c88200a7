"""The fake's shapes are real: the vendors' own SDKs read its answers, its streams and its errors."""

from __future__ import annotations

from e2e.conftest import Launch
from e2e.harness import run_sdk
from mitm_balancer.testing import FakeProvider, steps

SCRIPT = """
import json, os, anthropic, openai
from google import genai
base, seen = os.environ["FAKE"], {}
ask = [{"role": "user", "content": "hi"}]
claude = anthropic.Anthropic(base_url=base, max_retries=0)
with claude.messages.stream(model="m", max_tokens=9, messages=ask) as stream:
    seen["anthropic"] = "".join(stream.text_stream)
    seen["anthropic usage"] = stream.get_final_message().usage.output_tokens
seen["anthropic count"] = claude.messages.count_tokens(model="m", messages=ask).input_tokens
gpt = openai.OpenAI(base_url=base + "/v1", max_retries=0)
chunks = list(gpt.chat.completions.create(model="m", messages=ask, stream=True, stream_options={"include_usage": True}))
seen["chat"] = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
seen["chat usage"] = chunks[-1].usage.total_tokens
seen["chat plain"] = gpt.chat.completions.create(model="m", messages=ask).choices[0].message.content
with gpt.responses.stream(model="m", input="hi") as stream:
    seen["responses"] = stream.until_done().get_final_response().output_text
seen["responses plain"] = gpt.responses.create(model="m", input="hi").output_text
seen["models"] = gpt.models.list().data[0].id
google = genai.Client(http_options={"base_url": base})
seen["gemini"] = "".join(c.text or "" for c in google.models.generate_content_stream(model="m", contents="hi"))
seen["gemini plain"] = google.models.generate_content(model="m", contents="hi").text
for name, call in {
    "anthropic error": lambda: claude.messages.create(model="m", max_tokens=9, messages=ask),
    "openai error": lambda: gpt.chat.completions.create(model="m", messages=ask),
    "gemini error": lambda: google.models.generate_content(model="m", contents="hi"),
}.items():
    try:
        call()
    except Exception as error:
        seen[name] = f"{type(error).__name__} {getattr(error, 'status_code', None) or getattr(error, 'code', None)}"
print(json.dumps(seen))
"""
TEXT = "a:0 a:1 a:2 "


async def test_the_sdks_read_what_the_fake_says(fake: FakeProvider, launch: Launch) -> None:
    fake.play("a", *[steps.ok()] * 7, then=steps.rate_limited(retry_after=1))
    proxy = await launch(how="plain")
    keys = dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"), "KEY-A")
    done = await run_sdk(SCRIPT, proxy, keys | {"FAKE": fake.url})
    assert done.code == 0, done.err
    assert done.json() == {
        "anthropic": TEXT,
        "anthropic usage": 3,
        "anthropic count": 12,
        "chat": TEXT,
        "chat usage": 15,
        "chat plain": TEXT,
        "responses": TEXT,
        "responses plain": TEXT,
        "models": "fake-model",
        "gemini": TEXT,
        "gemini plain": TEXT,
        "anthropic error": "RateLimitError 429",
        "openai error": "RateLimitError 429",
        "gemini error": "ClientError 429",
    }

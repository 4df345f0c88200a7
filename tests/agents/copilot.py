"""What Copilot CLI asks before its first turn; without an answer it has no model and does not start.

Shapes: what the CLI 1.0.102 accepts (tried), fields named as in its public clients; the values are invented.
"""

from __future__ import annotations

import json

from mitm_balancer.testing import FakeProvider, steps

HOST = "https://api.githubcopilot.com"
MODEL = "claude-sonnet-4.5"


def answer(fake: FakeProvider) -> None:
    fake.route("GET", "/copilot_internal/user", steps.status(200, json.dumps(_USER)))
    fake.route("GET", "/models", steps.status(200, json.dumps({"object": "list", "data": [_MODEL]})))


_USER = {
    "login": "octocat",
    "copilot_plan": "individual",
    "access_type_sku": "plus_monthly_subscriber_quota",
    "chat_enabled": True,
    "endpoints": {"api": HOST},
}
_MODEL = {
    "id": MODEL,
    "name": "GPT-4.1",
    "object": "model",
    "vendor": "Azure OpenAI",
    "version": MODEL,
    "preview": False,
    "model_picker_enabled": True,
    "is_chat_default": True,
    "is_chat_fallback": True,
    "policy": {"state": "enabled", "terms": ""},
    "billing": {"is_premium": False, "multiplier": 0},
    "supported_endpoints": ["/chat/completions"],
    "capabilities": {
        "family": MODEL,
        "object": "model_capabilities",
        "type": "chat",
        "tokenizer": "o200k_base",
        "limits": {"max_context_window_tokens": 128000, "max_output_tokens": 16384, "max_prompt_tokens": 128000},
        "supports": {"streaming": True, "tool_calls": True, "parallel_tool_calls": True, "vision": True},
    },
}

"""What Codex with a ChatGPT login asks before its first turn: is its workspace among the login's, and where is it?"""

from __future__ import annotations

import json

from mitm_balancer.testing import FakeProvider, steps

ACCOUNT = "acct-client"


def answer(fake: FakeProvider) -> None:
    workspace = {"id": ACCOUNT, "workspace_backend_origin": "https://chatgpt.com", "account_routing_override": "us"}
    body = json.dumps({"accounts": [workspace], "account_ordering": [ACCOUNT], "default_account_id": ACCOUNT})
    fake.route("GET", "/backend-api/wham/accounts/check", steps.status(200, body))

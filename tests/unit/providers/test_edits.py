"""What belongs to the account besides its credential: ids in headers, bodies and paths."""

import base64
import json

import pytest

from mitm_balancer.providers.edits import edit_body, edit_path, swap_user_id
from mitm_balancer.providers.identity import account_fields, jwt_claims
from mitm_balancer.providers.registry import BUILTIN

PROVIDERS = {provider.name: provider for provider in BUILTIN}
DEVICE = "ab" * 32
UUID = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-8888-7777-6666-555555555555"


def jwt(claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # wire-facts 1.2.4: before 2.1.78, with and without an account
        (f"user_{DEVICE}_account_{OTHER}_session_s-1", f"user_{DEVICE}_account_{UUID}_session_s-1"),
        (f"user_{DEVICE}_account__session_s-1", f"user_{DEVICE}_account_{UUID}_session_s-1"),
        # since 2.1.78: a JSON string
        (
            f'{{"device_id":"{DEVICE}","account_uuid":"{OTHER}","session_id":"s"}}',
            f'{{"device_id":"{DEVICE}","account_uuid":"{UUID}","session_id":"s"}}',
        ),
        ('{"device_id":"d","session_id":"s"}', None),
        ("somebody", None),
        ("", None),
    ],
)
def test_user_id_names_the_serving_account(old: str, new: str | None):
    """Both formats of Claude Code's user id get the account's uuid; everything else is the client's own affair."""
    assert swap_user_id(old, UUID) == new


def test_body_changes_only_where_the_account_stands():
    """The bytes around the user id stay, odd spacing and all."""
    body = b'{ "model":"m" , "metadata" : {"user_id": "user_%s_account__session_x"}, "messages":[] }' % DEVICE.encode()

    edited = edit_body(PROVIDERS["anthropic"], {"account_uuid": UUID}, body)

    assert edited == body.replace(b"_account_", b"_account_" + UUID.encode())


@pytest.mark.parametrize("body", [b"", b"[]", b'{"metadata":null}', b'{"metadata":{"user_id":"plain"}}', b"\xff\x00"])
def test_other_bodies_stay(body: bytes):
    """No user id of a known format: not one byte changes."""
    assert edit_body(PROVIDERS["anthropic"], {"account_uuid": UUID}, body) == body


def test_unknown_identity_changes_nothing():
    """An account whose uuid nobody knows leaves the client's in place."""
    body = f'{{"metadata":{{"user_id":"user_{DEVICE}_account_{OTHER}_session_x"}}}}'.encode()

    assert edit_body(PROVIDERS["anthropic"], {}, body) == body


def test_code_assist_project_is_the_accounts():
    """wire-facts 6.2: the body's project belongs to the account."""
    edited = edit_body(PROVIDERS["codeassist"], {"project": "mine"}, b'{"model":"g","project":"theirs","request":{}}')

    assert edited == b'{"model":"g","project":"mine","request":{}}'


def test_vertex_path_is_the_accounts():
    """wire-facts 7.2: project and region stand in the path."""
    path = "/v1/projects/theirs/locations/us-east5/publishers/anthropic/models/claude:rawPredict"

    edited = edit_path(PROVIDERS["vertex"], {"project": "mine", "location": "europe-west1"}, path)

    assert edited == "/v1/projects/mine/locations/europe-west1/publishers/anthropic/models/claude:rawPredict"


def test_codex_account_id_comes_from_the_token():
    """wire-facts 3.2: the claim first, else the first organisation."""
    claim = {"https://api.openai.com/auth": {"chatgpt_account_id": "acc-1"}, "organizations": [{"id": "org-1"}]}

    assert account_fields("codex", jwt(claim)) == {"account_id": "acc-1"}
    assert account_fields("codex", jwt({"organizations": [{"id": "org-1"}]})) == {"account_id": "org-1"}


@pytest.mark.parametrize("token", ["", "sk-plain", "a.b.c", "a.!!!.c", jwt([]), jwt({"organizations": ["x"]})])
def test_tokens_that_tell_nothing(token: str):
    """No claim, no field, no exception."""
    assert account_fields("codex", token) == {}


def test_other_providers_tokens_are_not_read():
    """A JWT of another provider is just a credential."""
    assert account_fields("openai", jwt({"https://api.openai.com/auth": {"chatgpt_account_id": "a"}})) == {}
    assert jwt_claims("x") == {}

"""When two credentials are one account (behaviour spec 2.2, with its faults mended)."""

import dataclasses

import pytest
from account_samples import jwt, key, login

from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.sameness import marks, same_account
from mitm_balancer.secrets import Secret


def chatgpt(workspace: str, user: str = "", refresh: str = "r") -> Credential:
    auth = {"chatgpt_account_id": workspace} | ({"chatgpt_user_id": user} if user else {})
    return login(jwt({"https://api.openai.com/auth": auth, "jti": refresh}), refresh)


SAME = {
    "the same key": ("openai", key("a"), key("a")),
    "the same refresh token": ("anthropic", login("a", "r"), login("b", "r")),
    "the same access token": ("anthropic", login("a", None), login("a", None)),
    "the same person after a rotation": (
        "anthropic", login("a", "r", account_uuid="u"), login("b", "s", account_uuid="u", email="new@x"),
    ),
    "an address in another spelling": ("copilot", login("a", "r", email="Me@x.com"), login("b", "s", email="me@X.com")),
    "a workspace when nobody knows the person": ("codex", chatgpt("w", "", "r1"), chatgpt("w", "", "r2")),
    "one side knows the person": ("codex", chatgpt("w", "u", "r1"), chatgpt("w", "", "r2")),
    "a stored id beside a token's": ("codex", login("opaque", "r", account_id="w"), chatgpt("w", "", "r2")),
    "a wellknown pair": ("corp", Credential("wellknown", Secret("t")), Credential("wellknown", Secret("t"))),
}  # fmt: skip

DIFFERENT = {
    "other keys": ("openai", key("a"), key("b")),
    "other kinds": ("openai", key("a"), login("a")),
    "two members of one workspace": ("codex", chatgpt("w", "u1", "r1"), chatgpt("w", "u2", "r2")),
    "one person in two workspaces": ("codex", chatgpt("w1", "u", "r1"), chatgpt("w2", "u", "r2")),
    "one person in two organisations": (
        "anthropic", login("a", "r", account_uuid="u", org="o1"), login("b", "s", account_uuid="u", org="o2"),
    ),
    "nothing is known": ("anthropic", login("a", "r"), login("b", "s")),
    "other addresses": ("copilot", login("a", "r", email="a@x"), login("b", "s", email="b@x")),
    "no refresh tokens": ("anthropic", login("a", None), login("b", None)),
    "another GitHub": ("copilot", login("a", "r", email="a@x", enterprise_url="g1"),
                       login("b", "s", email="a@x", enterprise_url="g2")),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_one_account(case: str) -> None:
    provider, one, other = SAME[case]
    assert same_account(provider, one, other)
    assert same_account(provider, other, one)


@pytest.mark.parametrize("case", DIFFERENT)
def test_two_accounts(case: str) -> None:
    provider, one, other = DIFFERENT[case]
    assert not same_account(provider, one, other)
    assert not same_account(provider, other, one)


def test_a_dismissed_account_is_recognised_by_any_of_its_marks() -> None:
    first = login("a1", "r1", account_uuid="u")
    again = login("a2", "r2", account_uuid="u")
    assert set(marks("anthropic", first)) & set(marks("anthropic", again))
    assert not set(marks("anthropic", first)) & set(marks("anthropic", dataclasses.replace(again, identity={})))
    assert not set(marks("anthropic", first)) & set(marks("codex", first))

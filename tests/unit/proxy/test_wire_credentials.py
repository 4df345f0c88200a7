"""One credential on the wire: the account's, or the client's own, each in its place; none in the flow (X1, P7)."""

from __future__ import annotations

import itertools

import pytest
from mitmproxy import http
from wire_requests import ACCOUNT, ALL, BEARER_KEY, CLIENT, GONE, NAMES, QUERY_KEY, X_API_KEY, Fields, request

from mitm_balancer.providers.anthropic import PROVIDER as ANTHROPIC
from mitm_balancer.providers.model import BEARER, CARRIER_HEADERS, Auth, CredentialForm
from mitm_balancer.proxy import wire
from mitm_balancer.proxy.wire import HIDDEN, Carrier, Hidden

CARRIERS = sorted(CARRIER_HEADERS)


def casings(name: str) -> list[bytes]:
    odd = "".join(c.upper() if i % 2 else c for i, c in enumerate(name))
    return [text.encode() for text in (name, name.upper(), name.title(), odd)]


@pytest.mark.parametrize("carrier", ALL, ids=["x-api-key", "bearer", "query"])
@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("name", CARRIERS)
def test_every_carrier_in_every_casing_and_number_leaves(name: str, times: int, carrier: Carrier) -> None:
    """Nothing of the client's goes out with an account, and exactly one credential does."""
    for casing in casings(name):
        made = request([(b"Host", b"api.example"), *[(casing, b"Bearer " + CLIENT)] * times, (b"X-Other", b"1")])
        wire.hide(made)
        fields = wire.for_account(made, carrier, gone=GONE)
        text = repr(fields) + repr(wire.account_target(made, carrier))
        assert CLIENT.decode() not in text
        assert HIDDEN.decode() not in text
        assert text.count(ACCOUNT) == 1
        assert (b"Host", b"api.example") in fields
        assert (b"X-Other", b"1") in fields


def test_all_carriers_at_once() -> None:
    """In every order: still one."""
    for order in itertools.permutations(CARRIERS):
        made = request([(name.encode(), CLIENT) for name in order], b"/v1/x?key=" + CLIENT)
        for carrier in ALL:
            text = repr(wire.for_account(made, carrier, gone=GONE)) + repr(wire.account_target(made, carrier))
            assert CLIENT.decode() not in text
            assert text.count(ACCOUNT) == 1


def test_hide_leaves_nothing_in_the_flow() -> None:
    """Headers of any casing, and the key in the query; the rest stands as it stood."""
    fields: Fields = [
        (b"A", b"1"),
        (b"X-API-Key", CLIENT),
        (b"a", b"2"),
        (b"AUTHORIZATION", CLIENT),
        (b"Cookie", CLIENT),
    ]
    made = request(fields, b"/v1/x?a=1&key=" + CLIENT + b"&b=%20")
    hidden = wire.hide(made)
    assert CLIENT not in repr(made.get_state()).encode()
    assert [n for n, _ in made.headers.fields] == [n for n, _ in fields]
    assert [v for n, v in made.headers.fields if n in (b"A", b"a")] == [b"1", b"2"]
    assert made.path == f"/v1/x?a=1&key={HIDDEN.decode()}&b=%20"
    assert CLIENT.decode() not in repr(hidden)


def test_hidden_twice_is_hidden_once() -> None:
    """The second time finds placeholders, and takes none of them for a credential."""
    made = request([(b"x-api-key", CLIENT)], b"/v1/x?key=" + CLIENT)
    assert wire.hide(made)
    assert not wire.hide(made)


@pytest.mark.parametrize(
    ("fields", "path", "has"),
    [
        ([], b"/", False),
        ([(b"cookie", CLIENT)], b"/", False),
        ([(b"x-goog-api-key", b"")], b"/?key=", False),
        ([(b"x-api-key", CLIENT)], b"/", True),
        ([(b"cookie", CLIENT), (b"Authorization", CLIENT)], b"/", True),
        ([], b"/?key=k", True),
    ],
)
def test_whether_the_client_brought_a_credential(fields: Fields, path: bytes, has: bool) -> None:
    """Cookies are none, nor is an empty header (Gemini CLI sends one beside its bearer token)."""
    assert bool(wire.hide(request(fields, path))) is has


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/x?key=" + CLIENT,
        b"/v1/x?a&key=" + CLIENT + b"&key=second-" + CLIENT + b"&b=1",
        b"/v1/x?k%65y=" + CLIENT,
        b"/v1/x?%6b%65%79=" + CLIENT + b"=&alt=sse",
        b"/v1/x?monkey=1&key=" + CLIENT,
        b"/v1/key=a?key=" + CLIENT + b"#frag",
    ],
)
def test_the_key_in_the_query(path: bytes) -> None:
    """Hidden in the flow, gone with an account, back in place for the client, however its name is escaped."""
    made = request([], path)
    hidden = wire.hide(made)
    assert hidden
    assert CLIENT.decode() not in made.path
    assert CLIENT not in wire.account_target(made, X_API_KEY)
    assert HIDDEN not in wire.account_target(made, X_API_KEY)
    assert wire.client_target(made, hidden) == path


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"/v1/x", b"/v1/x?key=" + ACCOUNT.encode()),
        (b"/v1/x?key=a&alt=sse", b"/v1/x?alt=sse&key=" + ACCOUNT.encode()),
        (b"/v1/x?b=1&key=a&key=b&a=%2F&&c", b"/v1/x?b=1&a=%2F&&c&key=" + ACCOUNT.encode()),
    ],
)
def test_an_account_in_the_query(path: bytes, target: bytes) -> None:
    """Everything else of the query byte for byte."""
    assert wire.account_target(request([], path), QUERY_KEY) == target


def test_an_account_in_the_query_is_escaped() -> None:
    """A credential never becomes another parameter."""
    carrier = Carrier(CredentialForm(Auth(query="key")), "a&b=c/d+e f")
    assert wire.account_target(request([], b"/x"), carrier) == b"/x?key=a%26b%3Dc%2Fd%2Be%20f"


def test_a_query_parameter_of_a_provider_of_ones_own() -> None:
    """`auth: {query: token}`: the client's token leaves as well."""
    carrier = Carrier(CredentialForm(Auth(query="token")), ACCOUNT)
    made = request([], b"/v1/x?token=" + CLIENT + b"&a=1")
    assert wire.account_target(made, carrier) == b"/v1/x?a=1&token=" + ACCOUNT.encode()
    hidden = wire.hide(made, queries=frozenset({"key", "token"}))
    assert CLIENT.decode() not in made.path
    assert wire.client_target(made, hidden) == b"/v1/x?token=" + CLIENT + b"&a=1"


def test_the_clients_own_credential_comes_back_in_place() -> None:
    """Order, casing, duplicates and values exactly as they came."""
    fields: Fields = [
        (b"Host", b"api.example"),
        (b"Authorization", b"Bearer one-" + CLIENT),
        (b"X-Api-Key", b"two-" + CLIENT),
        (b"x-foo", b"1"),
        (b"AUTHORIZATION", b"Bearer three-" + CLIENT),
        (b"cookie", b"a=1"),
        (b"X-Foo", b"2"),
        (b"Cookie", b"b=2"),
        (b"x-api-key", b""),
    ]
    made = request(fields)
    hidden = wire.hide(made, NAMES)
    assert list(wire.for_client(made, hidden)) == fields


def test_no_placeholder_ever_goes_out() -> None:
    """A flow replayed from a dump has nothing behind its placeholders."""
    made = request([(b"Host", b"h"), (b"x-api-key", HIDDEN), (b"Cookie", HIDDEN)], b"/x?a=1&key=" + HIDDEN)
    assert wire.for_client(made, Hidden()) == ((b"Host", b"h"),)
    assert wire.client_target(made, Hidden()) == b"/x?a=1"
    for carrier in ALL:
        assert HIDDEN not in repr(wire.for_account(made, carrier, gone=GONE)).encode()
        assert HIDDEN not in wire.account_target(made, carrier)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            [(b"A", b"1"), (b"X-Api-Key", CLIENT), (b"B", b"2")],
            [(b"A", b"1"), (b"X-Api-Key", ACCOUNT.encode()), (b"B", b"2")],
        ),
        (
            [(b"A", b"1"), (b"Authorization", CLIENT), (b"B", b"2")],
            [(b"A", b"1"), (b"x-api-key", ACCOUNT.encode()), (b"B", b"2")],
        ),
        (
            [(b"Authorization", CLIENT), (b"A", b"1"), (b"X-API-KEY", CLIENT), (b"x-api-key", CLIENT)],
            [(b"A", b"1"), (b"X-API-KEY", ACCOUNT.encode())],
        ),
        ([(b"Cookie", CLIENT), (b"A", b"1")], [(b"A", b"1"), (b"x-api-key", ACCOUNT.encode())]),
        ([(b"A", b"1")], [(b"A", b"1"), (b"x-api-key", ACCOUNT.encode())]),
    ],
)
def test_where_the_accounts_credential_stands(fields: Fields, expected: Fields) -> None:
    """In the place and under the spelling of the client's; else where the first of them stood; else at the end."""
    host = (b"Host", b"h")
    assert list(wire.for_account(request([host, *fields]), X_API_KEY, gone=GONE)) == [host, *expected]


def test_account_bound_companions_leave() -> None:
    """Of this provider; those of others are no business of ours."""
    made = request([(b"Host", b"h"), (b"Anthropic-Workspace-Id", b"w"), (b"openai-project", b"p")])
    names = [n for n, _ in wire.for_account(made, X_API_KEY, gone=wire.leaving(ANTHROPIC))]
    assert names == [b"Host", b"x-api-key", b"openai-project"]


OAUTH = Carrier(CredentialForm(BEARER, add_tokens=(("anthropic-beta", "oauth-x"),)), ACCOUNT)
KEY = Carrier(CredentialForm(Auth(header="x-api-key"), drop_tokens=(("anthropic-beta", "oauth-x"),)), ACCOUNT)


@pytest.mark.parametrize(
    ("carrier", "before", "after"),
    [
        (OAUTH, [], [b"oauth-x"]),
        (OAUTH, [b"a,b"], [b"a,b,oauth-x"]),
        (OAUTH, [b"a, oauth-x"], [b"a, oauth-x"]),
        (OAUTH, [b"a", b"oauth-x"], [b"a", b"oauth-x"]),
        (OAUTH, [b"oauth-xy"], [b"oauth-xy,oauth-x"]),
        (OAUTH, [b""], [b"oauth-x"]),
        (KEY, [], []),
        (KEY, [b"a,oauth-x,b"], [b"a,b"]),
        (KEY, [b"oauth-x, a"], [b"a"]),
        (KEY, [b"a, oauth-x, b"], [b"a, b"]),
        (KEY, [b"oauth-x"], []),
        (KEY, [b"oauth-x, "], []),
        (KEY, [b"oauth-xy"], [b"oauth-xy"]),
        (KEY, [b"a", b"oauth-x,b"], [b"a", b"b"]),
        (KEY, [b"a,  b"], [b"a,  b"]),
    ],
)
def test_credential_bound_tokens(carrier: Carrier, before: list[bytes], after: list[bytes]) -> None:
    """Added or dropped as the credential's form says; the client's other tokens stand as they stood."""
    made = request([(b"Host", b"h"), *[(b"Anthropic-Beta", value) for value in before]])
    fields = wire.for_account(made, carrier, gone=GONE)
    assert [value for name, value in fields if name.lower() == b"anthropic-beta"] == after


def test_anthropic_forms() -> None:
    """An OAuth token is a bearer with its beta; a key never goes out with the OAuth beta."""
    made = request([(b"Host", b"h"), (b"anthropic-beta", b"oauth-2025-04-20,other")])
    for credential, header, beta in (
        ("sk-ant-oat01-x", (b"authorization", b"Bearer sk-ant-oat01-x"), b"oauth-2025-04-20,other"),
        ("sk-ant-api03-x", (b"x-api-key", b"sk-ant-api03-x"), b"other"),
    ):
        carrier = Carrier(ANTHROPIC.form_for(credential), credential)
        fields = wire.for_account(made, carrier, gone=wire.leaving(ANTHROPIC))
        assert header in fields
        assert (b"anthropic-beta", beta) in fields


def test_secrets_do_not_print() -> None:
    """Neither the account's nor the client's (P7)."""
    made = request([(b"x-api-key", CLIENT)], b"/?key=" + CLIENT)
    hidden = wire.hide(made)
    assert CLIENT.decode() not in f"{hidden!r}{hidden}"
    assert ACCOUNT not in f"{X_API_KEY!r}{BEARER_KEY}"


def test_cookies_of_the_answer_are_hidden_and_come_back() -> None:
    """In order; the flow that is shown keeps placeholders."""
    fields: Fields = [(b"Set-Cookie", b"a=" + CLIENT), (b"X", HIDDEN), (b"set-cookie", b"b=" + CLIENT)]
    shown = http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(fields), None, None, 0.0, None)
    cookies = wire.hide_cookies(shown)
    assert CLIENT not in repr(shown.get_state()).encode()
    assert list(wire.with_cookies(shown, cookies).headers.fields) == fields
    assert CLIENT not in repr(shown.get_state()).encode()


def test_an_answer_without_cookies_is_not_copied() -> None:
    """The usual case costs nothing."""
    shown = http.Response(b"HTTP/1.1", 200, b"OK", http.Headers([(b"a", b"b")]), None, None, 0.0, None)
    assert wire.hide_cookies(shown) == ()
    assert wire.with_cookies(shown, ()) is shown

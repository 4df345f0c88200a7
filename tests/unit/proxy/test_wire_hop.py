"""What else changes between the client's hop and ours: framing, hop-by-hop fields, base URLs; and nothing more."""

from __future__ import annotations

import pytest
from wire_requests import ACCOUNT, CLIENT, GONE, X_API_KEY, Fields, request

from mitm_balancer.proxy import wire
from mitm_balancer.proxy.wire import Hidden, join_path
from mitm_balancer.upstream.base import Origin

HOST = (b"Host", b"api.example")


def sent(fields: Fields, **more: object) -> Fields:
    """The client's own fields on our hop."""
    return list(wire.for_client(request(fields, **more), Hidden()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ([(b"Proxy-Connection", b"keep-alive")], []),
        ([(b"Proxy-Authorization", b"Basic x"), (b"PROXY-AUTHENTICATE", b"x")], []),
        ([(b"Keep-Alive", b"timeout=5"), (b"TE", b"trailers")], []),
        ([(b"Connection", b"close")], []),
        ([(b"connection", b"Close")], []),
        ([(b"Connection", b"keep-alive")], [(b"Connection", b"keep-alive")]),
        ([(b"Connection", b"X-Hop"), (b"x-hop", b"1"), (b"X-Stays", b"2")], [(b"X-Stays", b"2")]),
        ([(b"X-HOP", b"1"), (b"Connection", b"keep-alive, x-hop")], [(b"Connection", b"keep-alive")]),
        ([(b"Connection", b"close, Upgrade"), (b"Upgrade", b"websocket")], None),
        ([(b"Connection", b"x-closed"), (b"X-Closed", b"1")], []),
        ([(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")], "same"),
        ([(b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"websocket")], "same"),
        ([(b"Transfer-Encoding", b"chunked")], "same"),
        ([(b"Expect", b"100-continue")], "same"),
    ],
)
def test_hop_by_hop_fields(fields: Fields, kept: Fields | str | None) -> None:
    """RFC 9110 7.6.1: ours is another hop; an upgrade travels on."""
    if kept is None:
        kept = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    assert sent([HOST, *fields]) == [HOST, *(fields if isinstance(kept, str) else kept)]


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Transfer-Encoding"])
def test_connection_cannot_take_the_framing_away(name: bytes) -> None:
    """Without it the request would be another one, or two."""
    fields = [(b"Host", b"h"), (b"Content-Length", b"2"), (b"Transfer-Encoding", b"chunked"), (b"Connection", name)]
    assert sent(fields) == fields[:3]


def test_connection_cannot_take_the_accounts_credential_away() -> None:
    """A client that names it as hop-by-hop loses its own, not the account's."""
    made = request([HOST, (b"X-Api-Key", CLIENT), (b"Connection", b"x-api-key")])
    assert (b"x-api-key", ACCOUNT.encode()) in wire.for_account(made, X_API_KEY, gone=GONE)


def test_everything_else_goes_out_as_it_came() -> None:
    """Order, casing, duplicates, bytes that are no text, empty values, blanks."""
    fields: Fields = [
        HOST,
        (b"User-Agent", b"claude-cli/2"),
        (b"x-DUP", b"1"),
        (b"X-dup", b"2"),
        (b"X-Bytes", b"\xff\xfe \xe9"),
        (b"x-empty", b""),
        (b"anthropic-beta", b"a,  b"),
        (b"Content-Length", b"2"),
        (b"Accept-Encoding", b"gzip, br"),
    ]
    assert sent(fields) == fields
    assert list(wire.for_account(request(fields), X_API_KEY, gone=GONE))[:-1] == fields


@pytest.mark.parametrize(
    "path", [b"/v1/\xc3\xa9?q=\xc3\xa9", b"/v1/\xff\xfe", b"/a%2Fb?x=%00&y=+", b"/", b"*", b"/x?", b"//x//?a=?b"]
)
def test_the_path_goes_out_byte_for_byte(path: bytes) -> None:
    """Also where it is no UTF-8."""
    assert wire.client_target(request([], path), Hidden()) == path
    assert wire.account_target(request([], path), X_API_KEY) == path


# -- HTTP/2 ------------------------------------------------------------------------------------------------------


def h2(fields: Fields, **more: object) -> Fields:
    return sent(fields, version=b"HTTP/2.0", **more)


def test_h2_gets_a_host_from_its_authority() -> None:
    """First, as HTTP/1.1 wants it; the authority's bytes as they came; an own Host field wins."""
    assert h2([(b"a", b"1")], authority=b"api.example:444", method=b"GET", content=b"") == [
        (b"host", b"api.example:444"),
        (b"a", b"1"),
    ]
    assert h2([], method=b"GET", content=b"") == [(b"host", b"api.example")]
    assert h2([(b"host", b"x")], authority=b"y", method=b"GET", content=b"") == [(b"host", b"x")]
    assert h2([], authority=b"xn--bcher-kva.example", method=b"GET", content=b"") == [
        (b"host", b"xn--bcher-kva.example")
    ]


def test_http_1_0_gets_a_host_as_well() -> None:
    """HTTP/1.1 does not go without."""
    assert sent([(b"a", b"1")], version=b"HTTP/1.0") == [(b"host", b"api.example"), (b"a", b"1")]


@pytest.mark.parametrize(
    ("method", "content", "fields", "length"),
    [
        (b"POST", b"abc", [], (b"content-length", b"3")),
        (b"POST", b"", [], (b"content-length", b"0")),
        (b"POST", None, [], (b"transfer-encoding", b"chunked")),
        (b"DELETE", b"", [], (b"content-length", b"0")),
        (b"GET", b"", [], None),
        (b"GET", None, [], None),
        (b"GET", b"abc", [], (b"content-length", b"3")),
        (b"POST", b"abc", [(b"content-length", b"3")], None),
        (b"POST", None, [(b"content-length", b"3")], None),
    ],
)
def test_h2_bodies_get_their_length(
    method: bytes, content: bytes | None, fields: Fields, length: tuple[bytes, bytes] | None
) -> None:
    """A body without any framing would be read as the next request."""
    host = (b"host", b"h")
    expected = [host, *fields, *([length] if length else [])]
    assert h2([host, *fields], method=method, content=content) == expected


def test_h2_cookies_are_joined_where_the_first_stood() -> None:
    """RFC 9113 8.2.3; hidden or not, none gets lost."""
    fields: Fields = [(b"host", b"h"), (b"cookie", b"a=1"), (b"x", b"1"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]
    joined = [(b"host", b"h"), (b"cookie", b"a=1; b=2; c=3"), (b"x", b"1")]
    assert h2(fields, method=b"GET", content=b"") == joined
    made = request(fields, version=b"HTTP/2.0", method=b"GET", content=b"")
    hidden = wire.hide(made)
    assert list(wire.for_client(made, hidden)) == joined


def test_h1_cookies_stay_apart() -> None:
    """Nothing is joined that came apart."""
    fields: Fields = [HOST, (b"Cookie", b"a=1"), (b"Cookie", b"b=2")]
    assert sent(fields) == fields


# -- another base URL --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "path", "joined"),
    [
        ("", "/v1/messages", "/v1/messages"),
        ("/", "/v1/messages", "/v1/messages"),
        ("/v1", "/v1/messages", "/v1/messages"),
        ("/v1/", "/v1/messages", "/v1/messages"),
        ("/api/anthropic", "/v1/messages", "/api/anthropic/v1/messages"),
        ("/openai/v1", "/v1/chat/completions", "/openai/v1/chat/completions"),
        ("/api/v1", "/v1", "/api/v1"),
        ("/a/b/c", "/b/c/d", "/a/b/c/d"),
        ("/v1/x/v1", "/v1/x/v1/y", "/v1/x/v1/y"),
        ("/v1beta", "/v1/messages", "/v1beta/v1/messages"),
        ("/x/v1", "/v1/v1/y", "/x/v1/v1/y"),
        ("/x", "/v1/messages/", "/x/v1/messages/"),
        ("/x", "/", "/x/"),
        ("/v1/messages", "/v1/messages", "/v1/messages"),
        ("openai/v1", "/v1/chat", "/openai/v1/chat"),
        ("/x", "/a//b", "/x/a//b"),
    ],
)
def test_base_path_join(base: str, path: str, joined: str) -> None:
    """What the end of the base and the beginning of the path share stands once."""
    assert join_path(base, path) == joined
    assert wire.account_target(request([], f"{path}?a=1".encode()), X_API_KEY, base) == f"{joined}?a=1".encode()


def test_another_base_url_replaces_the_host_in_place() -> None:
    """Under the client's spelling; also the one that h2 did not have."""
    made = request([(b"A", b"1"), (b"HOST", b"api.example"), (b"B", b"2")])
    fields = wire.for_account(made, X_API_KEY, gone=GONE, host=b"other.example")
    assert fields[:3] == ((b"A", b"1"), (b"HOST", b"other.example"), (b"B", b"2"))
    made = request([(b"a", b"1")], version=b"HTTP/2.0", authority=b"api.example")
    assert wire.for_account(made, X_API_KEY, gone=GONE, host=b"other.example")[0] == (b"host", b"other.example")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin("https", "a.example", 443), b"a.example"),
        (Origin("https", "a.example", 80), b"a.example:80"),
        (Origin("http", "a.example", 80), b"a.example"),
        (Origin("http", "127.0.0.1", 9000), b"127.0.0.1:9000"),
        (Origin("https", "::1", 443), b"[::1]"),
        (Origin("https", "::1", 8443), b"[::1]:8443"),
        (Origin("https", "b\u00fccher.example", 443), b"xn--bcher-kva.example"),
        (Origin("https", "b\u00fccher.example", 8443), b"xn--bcher-kva.example:8443"),
    ],
)
def test_default_host(origin: Origin, host: bytes) -> None:
    """The port stands where it is not the scheme's own."""
    assert wire.default_host(origin) == host

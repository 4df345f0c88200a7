"""Whatever a client sends: its credential never leaves with an account, and no foreign header is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from wire_requests import ACCOUNT, ALL, CLIENT, GONE, NAMES, Fields, request

from mitm_balancer.proxy import wire
from mitm_balancer.proxy.wire import HIDDEN, Carrier

_NAME = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(lambda s: f"x{s}")
_VALUE = st.binary(max_size=12).filter(lambda v: b"\r" not in v and b"\n" not in v)


@st.composite
def _cased(draw: st.DrawFn, name: str) -> bytes:
    flags = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    return "".join(c.upper() if up else c for c, up in zip(name, flags, strict=True)).encode()


_FOREIGN = st.tuples(_NAME.filter(lambda n: n.encode() not in GONE).flatmap(_cased), _VALUE)
_CARRIER = st.tuples(
    st.sampled_from(sorted(n.decode() for n in NAMES)).flatmap(_cased),
    st.sampled_from([CLIENT, b"Bearer " + CLIENT, CLIENT + b"; b=2"]),
)
_FIELDS = st.lists(st.one_of(_FOREIGN, _CARRIER), max_size=12)
_PAIR = st.sampled_from(
    ["a=1", "b", "", "key=", "alt=sse", f"key={CLIENT.decode()}", f"k%65y={CLIENT.decode()}", "é=ü"]
)
_QUERY = st.lists(_PAIR, max_size=5).map("&".join)


@settings(max_examples=300, deadline=None)
@given(fields=_FIELDS, query=_QUERY, carrier=st.sampled_from(ALL), hidden=st.booleans(), h2=st.booleans())
def test_with_an_account(fields: Fields, query: str, carrier: Carrier, hidden: bool, h2: bool) -> None:
    """One credential, the account's; all foreign headers in order, casing and number; whether hidden before or not."""
    path = f"/v1/x?{query}".encode()
    made = request([(b"host", b"h"), *fields], path, version=b"HTTP/2.0" if h2 else b"HTTP/1.1", method=b"GET")
    if hidden:
        wire.hide(made, NAMES)
    out = wire.for_account(made, carrier, gone=GONE)
    text = repr(out) + repr(wire.account_target(made, carrier))
    assert CLIENT.decode() not in text
    assert HIDDEN.decode() not in text
    assert text.count(ACCOUNT) == 1
    foreign = [f for f in fields if f[0].lower() not in GONE]
    ours = {b"host", b"content-length", (carrier.auth.header or "").encode()}
    assert [f for f in out if f[0].lower() not in ours] == foreign


@settings(max_examples=300, deadline=None)
@given(fields=_FIELDS, query=_QUERY)
def test_with_the_clients_own(fields: Fields, query: str) -> None:
    """Hidden and brought back: byte for byte the same; and hidden means hidden."""
    path = f"/v1/x?{query}".encode()
    made = request([(b"host", b"h"), *fields], path)
    hidden = wire.hide(made, NAMES)
    assert CLIENT not in repr(made.get_state()).encode()
    assert list(wire.for_client(made, hidden)) == [(b"host", b"h"), *fields]
    assert wire.client_target(made, hidden) == path

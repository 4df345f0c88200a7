"""After a 101: frames go both ways, and either side may end it."""

from __future__ import annotations

from mitmproxy.proxy.layers.websocket import WebSocketMessageInjected
from mitmproxy.websocket import WebSocketData, WebSocketMessage
from playbook import Playbook
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage
from wsproto.frame_protocol import Opcode

UPGRADE = (
    b"GET /v1/responses HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FIELDS = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))


def _open() -> Playbook:
    play = Playbook()
    assert play.client(UPGRADE) == ["start b''"]
    play.flow.websocket = WebSocketData()  # as the outlet does before it gives the head
    seen = play.head(101, *FIELDS)
    assert seen[0].startswith("send b'HTTP/1.1 101")
    assert seen[1:] == ["hook websocket_start"]
    return play


def _client(text: str) -> bytes:
    return Connection(ConnectionType.CLIENT).send(TextMessage(data=text))


def _server(text: str) -> bytes:
    return Connection(ConnectionType.SERVER).send(TextMessage(data=text))


def test_frames_go_both_ways() -> None:
    play = _open()

    seen = play.client(_client("ask"))
    assert seen[0] == "hook websocket_message"
    # Text, masked, 3 bytes; the mask is random, so the repr may have either quote.
    assert seen[1].replace('"', "'").startswith("upgraded_write b'\\x81\\x83")
    assert play.data(_server("answer")) == ["hook websocket_message", f"send {_server('answer')!r}"]
    assert play.flow.websocket is not None
    assert [m.text for m in play.flow.websocket.messages] == ["ask", "answer"]


def test_the_provider_ends_it() -> None:
    play = _open()

    seen = play.data(Connection(ConnectionType.SERVER).send(CloseConnection(code=1000)))

    assert "close" in seen
    assert "upgraded_close" in seen
    assert "hook websocket_end" in seen


def test_the_providers_connection_is_lost() -> None:
    play = _open()

    assert "close" in play.end()
    play = _open()
    assert "close" in play.broken("cut")


def test_the_client_ends_it() -> None:
    play = _open()

    seen = play.client(Connection(ConnectionType.CLIENT).send(CloseConnection(code=1000)))

    assert any(line.replace('"', "'").startswith("upgraded_write b'\\x88") for line in seen)
    assert "upgraded_close" in seen
    assert "hook websocket_end" in seen


def test_the_client_vanishes() -> None:
    play = _open()

    assert "upgraded_close" in play.client_leaves()
    assert play.data(_server("late")) == []


def test_a_message_may_be_injected() -> None:
    """From mitmweb, by a person: it must not take the connection down."""
    play = _open()
    message = WebSocketMessage(Opcode.TEXT, False, b"by hand")

    seen = play.feed(WebSocketMessageInjected(play.flow, message))

    assert seen == ["hook websocket_message", f"send {_server('by hand')!r}"]


def test_an_upgrade_to_what_is_switched_off_ends_the_call() -> None:
    play = Playbook()
    play.options.rawtcp = False
    play.client(UPGRADE)

    seen = play.head(101, *FIELDS)

    assert seen[-2:] == ["close", "cancel"]


def test_an_upgrade_to_something_else_carries_bytes() -> None:
    play = Playbook()
    play.client(UPGRADE.replace(b"websocket", b"custom"))
    seen = play.head(101, (b"connection", b"Upgrade"), (b"upgrade", b"custom"))

    assert seen[0].startswith("send b'HTTP/1.1 101")
    assert play.client(b"ping")[-1] == "upgraded_write b'ping'"
    assert play.data(b"pong")[-1] == "send b'pong'"

"""What is kept of a socket's frames: mitmproxy keeps all of them, and a socket may be open for days."""

from __future__ import annotations

from pathlib import Path

import pytest
from mitmproxy.addons import proxyserver
from mitmproxy.test import taddons, tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from mitm_balancer.app import addon


class Listens:
    """A socket of ours that is open."""

    def __init__(self) -> None:
        self.heard: list[WebSocketMessage] = []

    def message(self, message: WebSocketMessage) -> None:
        self.heard.append(message)

    def ended(self, *, by_client: bool) -> None: ...


@pytest.mark.parametrize("wanted", [False, True], ids=["nobody looks", "somebody keeps bodies"])
def test_frames_are_kept_for_those_who_want_them(tmp_path: Path, wanted: bool) -> None:
    balancer = addon()
    with taddons.context(proxyserver.Proxyserver(), balancer) as context:
        context.configure(balancer, balancer_home=str(tmp_path / "home"))
        context.options.store_streamed_bodies = wanted
        assert balancer.backend is not None
        try:
            flow = tflow.twebsocketflow()
            assert flow.websocket is not None
            flow.websocket.messages.clear()
            socket = balancer.backend.runtime.sockets[flow.id] = Listens()
            for number in range(5):
                flow.websocket.messages.append(WebSocketMessage(Opcode.TEXT, False, str(number).encode()))
                balancer.websocket_message(flow)
            assert [message.content for message in socket.heard] == [b"0", b"1", b"2", b"3", b"4"]
            assert len(flow.websocket.messages) == (5 if wanted else 1)
        finally:
            balancer.backend.close()

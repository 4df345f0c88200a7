"""What a call tells its stream: the head, the body as it arrives, the end.

They derive from mitmproxy's MessageInjected because the layers between the connection handler and our stream (CONNECT,
TLS, HTTP) already know how to pass an injected message inwards.
"""

from __future__ import annotations

from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import ErrorCode


class CallEvent(events.MessageInjected[None]):
    """Addressed to one stream of one client connection."""

    def __init__(self, flow: http.HTTPFlow, stream_id: int) -> None:
        super().__init__(flow, None)
        self.stream_id = stream_id


class HeadReady(CallEvent):
    """Commit: this head goes to the client, with the cookies that the flow does not show."""

    def __init__(
        self, flow: http.HTTPFlow, stream_id: int, response: http.Response, cookies: tuple[bytes, ...] = ()
    ) -> None:
        super().__init__(flow, stream_id)
        self.response = response
        self.cookies = cookies


class Whole(HeadReady):
    """A complete answer in one go: head, body and end."""

    def __init__(
        self, flow: http.HTTPFlow, stream_id: int, response: http.Response, cookies: tuple[bytes, ...], body: bytes
    ) -> None:
        super().__init__(flow, stream_id, response, cookies)
        self.body = body


class BodyData(CallEvent):
    """Bytes of the body, as they came."""

    def __init__(self, flow: http.HTTPFlow, stream_id: int, data: bytes) -> None:
        super().__init__(flow, stream_id)
        self.data = data


class BodyEnd(CallEvent):
    """The clean end of the answer."""


class CloseSocket(CallEvent):
    """Close the client's WebSocket with this code (RFC 6455 7.4), so that it comes back by itself."""

    def __init__(self, flow: http.HTTPFlow, stream_id: int, code: int, reason: str) -> None:
        super().__init__(flow, stream_id)
        self.code = code
        self.reason = reason


class BodyBroken(CallEvent):
    """The answer ended badly, or the flow was killed; the client must be able to tell."""

    def __init__(
        self, flow: http.HTTPFlow, stream_id: int, why: str, code: ErrorCode = ErrorCode.GENERIC_SERVER_ERROR
    ) -> None:
        super().__init__(flow, stream_id)
        self.why = why
        self.code = code

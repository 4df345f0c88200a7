"""The balanced stream with an HTTP/1.1 client, event by event."""

from __future__ import annotations

import pytest
from mitmproxy.proxy.layers.http import ErrorCode
from playbook import Playbook, make_head

from mitm_balancer.proxy.events import BodyData, BodyEnd, HeadReady

POST = b"POST /v1/messages HTTP/1.1\r\nHost: api.example\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = "HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n"
HEAD_LINE = f"send b'{CHUNKED}'"


def _started(**options: int) -> Playbook:
    play = Playbook(**options)  # type: ignore[arg-type]
    assert play.client(POST) == ["start b'body'"]
    return play


def test_a_turn() -> None:
    """Nothing is sent before the head is there; each chunk goes out at once; the stream is forgotten at the end."""
    play = _started()

    assert play.head(200) == [HEAD_LINE]
    assert play.data(b"one") == [r"send b'3\r\none\r\n'"]
    assert play.data(b"two") == [r"send b'3\r\ntwo\r\n'"]
    assert play.end() == [r"send b'0\r\n\r\n'"]
    assert play.layer.streams == {}
    assert play.flow.response is not None
    assert play.flow.response.raw_content == b"onetwo"
    assert play.flow.response.timestamp_end is not None
    assert play.flow.request.raw_content == b"body"
    assert play.flow.live is False


def test_a_whole_answer_is_one_event() -> None:
    play = _started()

    assert play.whole(b"all") == [r"send b'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n'", "send b'all'"]
    assert play.layer.streams == {}


def test_an_empty_answer() -> None:
    play = _started()

    assert play.whole(b"", 204) == [r"send b'HTTP/1.1 204 OK\r\ncontent-length: 0\r\n\r\n'"]


def test_an_empty_chunk_does_not_end_a_chunked_body() -> None:
    play = _started()
    play.head(200)

    assert play.data(b"") == []
    assert play.data(b"x") == [r"send b'1\r\nx\r\n'"]


def test_the_body_is_only_kept_where_somebody_looks() -> None:
    play = Playbook(keep_bodies=False)
    play.client(POST)
    play.head(200)
    play.data(b"secret")
    play.end()

    assert play.flow.response is not None
    assert play.flow.response.raw_content is None


def test_bodies_of_the_control_plane_are_never_shown() -> None:
    play = Playbook()
    play.client(POST[:-1])
    play.calls[0].keep_body = False
    assert play.client(POST[-1:]) == ["start b'body'"]
    play.head(200)
    play.data(b"token")
    play.end()

    assert play.flow.request.raw_content is None
    assert play.flow.response is not None
    assert play.flow.response.raw_content is None


def test_the_request_may_come_in_pieces() -> None:
    play = Playbook()

    for start in range(len(POST) - 1):
        assert play.client(POST[start : start + 1]) == []
    assert play.client(POST[-1:]) == ["start b'body'"]


def test_three_hundred_requests_on_one_connection() -> None:
    play = Playbook()
    for _ in range(300):
        assert play.client(POST) == ["start b'body'"]
        play.head(200, (b"content-length", b"2"))
        assert play.data(b"ok") == ["send b'ok'"]
        assert play.end() == []
    assert len(play.calls) == 300
    assert play.layer.streams == {}
    assert play.layer.command_sources == {}
    assert len(play.layer.connections) == 1
    assert len(play.layer.context.layers) == 1


def test_a_pipelined_request_waits_for_the_answer() -> None:
    play = Playbook()

    assert play.client(POST + POST) == ["start b'body'"]
    assert len(play.calls) == 1
    play.head(200, (b"content-length", b"0"))
    assert play.end() == ["start b'body'"]
    assert len(play.calls) == 2


def test_connection_close_is_honoured() -> None:
    play = Playbook()
    play.client(POST.replace(b"Host", b"Connection: close\r\nHost"))
    play.head(200)

    assert play.end() == [r"send b'0\r\n\r\n'", "close"]


def test_expect_100_continue() -> None:
    play = Playbook()
    head, body = POST.split(b"\r\n\r\n")

    assert play.client(head + b"\r\nExpect: 100-continue\r\n\r\n") == [r"send b'HTTP/1.1 100 Continue\r\n\r\n'"]
    assert play.client(body) == ["start b'body'"]
    assert "expect" not in play.flow.request.headers


def test_a_request_of_nobodys_goes_mitmproxys_own_way() -> None:
    play = Playbook(balanced=False)
    play.hold_hooks = True

    assert play.client(POST) == ["hook requestheaders"]
    assert play.release() == ["hook request"]


def test_an_invalid_request_is_refused_before_any_call_starts() -> None:
    play = Playbook()
    smuggled = POST.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost")

    seen = play.client(smuggled)

    assert "start" not in " ".join(seen)
    assert seen[-1] == "close"


# -- large bodies -----------------------------------------------------------------------------------------------


def test_beyond_the_replay_limit_the_body_streams_through() -> None:
    play = Playbook(replay_limit=10)
    head = POST.split(b"\r\n\r\n")[0].replace(b"Length: 4", b"Length: 20") + b"\r\n\r\n"

    assert play.client(head + b"a" * 10) == []
    assert play.client(b"b") == [f"start_upload {b'a' * 10 + b'b'!r}"]
    assert play.client(b"c" * 8) == [f"upload {b'c' * 8!r}"]
    assert play.client(b"d") == ["upload b'd'", "upload_ended"]
    assert play.head(200) == [HEAD_LINE]
    assert play.end() == [r"send b'0\r\n\r\n'"]
    assert play.layer.streams == {}


def test_an_early_answer_while_the_body_still_comes() -> None:
    """The client gets it at once; the connection goes on when its upload is over."""
    play = Playbook(replay_limit=1)
    assert play.client(POST[:-2]) == ["start_upload b'bo'"]

    assert play.whole(b"no", 413) == [r"send b'HTTP/1.1 413 OK\r\ncontent-length: 2\r\n\r\n'", "send b'no'"]
    assert play.client(b"dy") == ["upload b'dy'", "upload_ended"]
    assert play.layer.streams == {}
    assert play.client(POST) == ["start_upload b'body'", "upload_ended"]


def test_a_client_that_leaves_after_the_early_answer_is_no_error() -> None:
    play = Playbook(replay_limit=1)
    play.client(POST[:-2])
    play.whole(b"no", 413)

    assert "hook error" not in play.client_leaves()


@pytest.mark.parametrize("early", [False, True])
def test_mitmproxys_own_limits_hold(early: bool) -> None:
    """`body_size_limit`: refused, and nothing starts, not even where the replay limit is lower."""
    play = Playbook(replay_limit=1)
    play.options.body_size_limit = "2"
    framing = b"Content-Length: 4" if early else b"Transfer-Encoding: chunked"
    request = POST.split(b"\r\n\r\n")[0].replace(b"Content-Length: 4", framing) + b"\r\n\r\n"

    seen = play.client(request) + play.client(b"body" if early else b"4\r\nbody\r\n0\r\n\r\n")

    assert not any(line.startswith("start") for line in seen)
    assert any("413" in line for line in seen)


def test_stream_large_bodies_streams_the_upload() -> None:
    play = Playbook()
    play.options.stream_large_bodies = "3"

    assert play.client(POST) == ["start_upload b''", "upload b'body'", "upload_ended"]


# -- ends -------------------------------------------------------------------------------------------------------


def test_the_client_leaves_during_its_request() -> None:
    play = Playbook()
    play.client(POST[:-1])

    assert play.client_leaves() == ["close", "cancel", "hook error"]


def test_the_client_leaves_while_the_call_runs() -> None:
    """The call is cancelled at once, before any hook; then nothing more is sent, whatever the call still brings."""
    play = _started()
    play.hold_hooks = True

    assert play.client_leaves() == ["close", "cancel", "hook error"]
    assert play.head(200) == []
    assert play.release() == []
    assert play.data(b"late") == []
    assert play.end() == []
    assert play.layer.streams == {}
    assert play.flow.live is False
    assert play.flow.error is not None
    assert "disconnected" in play.flow.error.msg


def test_the_client_leaves_in_the_middle_of_the_answer() -> None:
    play = _started()
    play.head(200)
    play.data(b"some")

    assert play.client_leaves() == ["close", "cancel", "hook error"]
    assert play.data(b"more") == []


def test_the_client_leaves_after_the_answer() -> None:
    play = _started()
    play.whole(b"ok")

    assert play.client_leaves() == ["close"]
    assert play.flow.error is None


def test_a_broken_answer_ends_without_the_terminating_chunk() -> None:
    """The client can tell; and the call, which said so itself, is not cancelled for it."""
    play = _started()
    play.head(200)
    play.data(b"half")

    assert play.broken("cut") == ["hook error", "close"]
    assert play.flow.error is not None
    assert play.flow.error.msg == "cut"
    assert play.layer.streams == {}


def test_a_killed_flow() -> None:
    """Before the head: the connection is closed, and nothing was answered."""
    play = _started()

    assert play.broken("killed", ErrorCode.KILL) == ["cancel", "hook error", "close"]


def test_an_error_of_ours_before_the_head_is_an_answer() -> None:
    play = _started()

    seen = play.broken("no")

    assert seen[0] == "hook error"
    assert seen[1].startswith("send b'HTTP/1.1 502 Bad Gateway")
    assert seen[2] == "close"


def test_events_for_a_stream_that_is_gone_are_dropped() -> None:
    play = _started()
    flow = play.flow
    play.whole(b"ok")

    assert play.stray(BodyData(flow, 1, b"late")) == []
    assert play.stray(BodyEnd(flow, 99)) == []
    assert play.client(POST) == ["start b'body'"]


def test_an_addon_may_change_the_stream() -> None:
    """`flow.response.stream` as a function, by mitmproxy's rule: b"" asks for what is left."""
    play = _started()
    head = make_head(200)
    held: list[bytes] = []

    def upper(data: bytes) -> bytes | list[bytes]:
        held.append(data)
        return [data.upper(), b"!"] if data else b"the end"

    head.stream = upper
    play.feed(HeadReady(play.flow, 1, head))
    assert play.data(b"one") == [r"send b'3\r\nONE\r\n'", r"send b'1\r\n!\r\n'"]
    assert play.end() == [r"send b'7\r\nthe end\r\n'", r"send b'0\r\n\r\n'"]
    assert held == [b"one", b""]

"""The balanced stream with an HTTP/2 client: parallel streams, resets, flow control."""

from __future__ import annotations

import h2.errors
import h2.settings
from playbook import Playbook, make_head

from mitm_balancer.proxy.events import BodyData, BodyEnd, HeadReady
from mitm_balancer.proxy.stream import UNSENT_LOW_WATER

HEADERS = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/v1/x"), (b":authority", b"api.example")]


def _play(**options: int) -> Playbook:
    return Playbook(h2_client=True, **options)  # type: ignore[arg-type]


def _post(play: Playbook, stream_id: int = 1, body: bytes = b"body") -> list[str]:
    assert play.h2 is not None
    play.h2.send_headers(stream_id, HEADERS)
    play.h2.send_data(stream_id, body, end_stream=True)
    return play.flush()


def test_a_turn() -> None:
    play = _play()

    assert _post(play) == ["start b'body'"]
    assert play.head(200, (b"content-length", b"3")) == ["headers 1 200"]
    assert play.data(b"one") == ["data 1 b'one'"]
    assert play.end() == ["end 1"]
    assert play.layer.streams == {}


def test_parallel_streams_do_not_mix() -> None:
    play = _play()
    for stream_id in (1, 3, 5):
        _post(play, stream_id, b"%d" % stream_id)
    flows = {i: call.flow for i, call in zip((1, 3, 5), play.calls, strict=True)}
    for stream_id in (5, 1, 3):
        assert play.head(200, stream_id=stream_id) == [f"headers {stream_id} 200"]
    for stream_id in (3, 5, 1):
        assert play.data(b"%d" % stream_id, stream_id=stream_id) == [f"data {stream_id} b'{stream_id}'"]
        assert play.end(stream_id=stream_id) == [f"end {stream_id}"]
        flow = flows[stream_id]
        assert flow is not None
        assert flow.response is not None
        assert flow.response.raw_content == b"%d" % stream_id


def test_a_reset_of_the_client_cancels_its_call_only() -> None:
    play = _play()
    _post(play, 1)
    _post(play, 3)
    assert play.h2 is not None
    play.h2.reset_stream(1, h2.errors.ErrorCodes.CANCEL)

    assert play.flush() == ["cancel", "hook error"]
    first = play.calls[0].flow
    assert first is not None
    assert play.feed(HeadReady(first, 1, make_head())) == []
    assert play.whole(b"ok", stream_id=3) == ["headers 3 200", "data 3 b'ok'", "end 3"]


def test_a_reset_in_the_middle_of_an_upload() -> None:
    play = _play(replay_limit=1)
    assert play.h2 is not None
    play.h2.send_headers(1, HEADERS)
    play.h2.send_data(1, b"aa")
    assert play.flush() == ["start_upload b'aa'"]
    play.h2.reset_stream(1, h2.errors.ErrorCodes.CANCEL)

    assert play.flush() == ["cancel", "hook error"]


def test_the_connection_ends_with_all_its_calls() -> None:
    play = _play()
    for stream_id in (1, 3):
        _post(play, stream_id)

    seen = play.client_leaves()

    assert seen.count("cancel") == 2
    assert seen.count("hook error") == 2
    assert play.layer.streams == {}


def test_a_broken_answer_resets_the_stream_and_no_other() -> None:
    play = _play()
    _post(play, 1)
    _post(play, 3)
    play.head(200, stream_id=1)
    play.data(b"half", stream_id=1)
    broken = f"reset 1 {int(h2.errors.ErrorCodes.INTERNAL_ERROR)}"

    assert play.broken("cut", stream_id=1) == ["hook error", broken]
    assert play.whole(b"ok", stream_id=3) == ["headers 3 200", "data 3 b'ok'", "end 3"]


def test_a_client_that_takes_nothing_holds_its_own_stream_up() -> None:
    """Flow control: what the window does not admit waits and is counted; the call learns when it may go on."""
    play = _play()
    assert play.h2 is not None
    play.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    play.flush()
    _post(play, 1)
    play.head(200)
    resumed: list[int] = []

    sent = play.data(b"x" * 300_000)
    assert sum(line.startswith("data 1") for line in sent) == 1
    assert play.layer.unsent(1) == 299_000
    play.layer.when_sent(1, lambda: resumed.append(1))
    assert resumed == []

    # The window opens, but not far enough; then far enough.
    play.h2.increment_flow_control_window(10_000_000)
    play.h2.increment_flow_control_window(100_000, stream_id=1)
    play.flush()
    assert play.layer.unsent(1) == 199_000
    assert resumed == []
    play.h2.increment_flow_control_window(199_000 - UNSENT_LOW_WATER, stream_id=1)
    play.flush()
    assert play.layer.unsent(1) <= UNSENT_LOW_WATER
    assert resumed == [1]

    assert play.end() == []  # what waits goes first
    play.h2.increment_flow_control_window(1_000_000, stream_id=1)
    assert play.flush()[-1] == "end 1"


def test_a_stalled_stream_does_not_stall_its_neighbour() -> None:
    play = _play()
    assert play.h2 is not None
    play.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    play.flush()
    _post(play, 1)
    _post(play, 3)
    for stream_id in (1, 3):
        play.head(200, stream_id=stream_id)
    assert play.data(b"x" * 50, stream_id=1) == [f"data 1 {b'x' * 10!r}"]

    assert play.data(b"y" * 5, stream_id=3) == ["data 3 b'yyyyy'"]
    assert (play.layer.unsent(1), play.layer.unsent(3)) == (40, 0)


def test_a_waiting_call_is_resumed_when_its_stream_ends() -> None:
    """Reset by the client while the call waits for its window: it must not wait for ever."""
    play = _play()
    assert play.h2 is not None
    play.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    play.flush()
    _post(play, 1)
    play.head(200)
    play.data(b"x" * 300_000)
    resumed: list[int] = []
    play.layer.when_sent(1, lambda: resumed.append(1))
    play.h2.reset_stream(1, h2.errors.ErrorCodes.CANCEL)

    assert play.flush() == ["cancel", "hook error"]
    assert resumed == [1]
    play.layer.when_sent(1, lambda: resumed.append(2))  # nor when it comes too late
    assert resumed == [1, 2]


def test_late_events_of_a_reset_stream_are_dropped() -> None:
    play = _play()
    _post(play, 1)
    flow = play.flow
    play.head(200)
    assert play.h2 is not None
    play.h2.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
    play.flush()

    assert play.feed(BodyData(flow, 1, b"x")) == []
    assert play.feed(BodyEnd(flow, 1)) == []
    assert _post(play, 3) == ["start b'body'"]


def test_an_early_answer_while_the_body_still_comes() -> None:
    play = _play(replay_limit=1)
    assert play.h2 is not None
    play.h2.send_headers(1, HEADERS)
    play.h2.send_data(1, b"aa")
    play.flush()

    assert play.whole(b"no", 413) == ["headers 1 413", "data 1 b'no'"]
    play.h2.send_data(1, b"b", end_stream=True)
    assert play.flush() == ["upload b'b'", "upload_ended", "end 1"]

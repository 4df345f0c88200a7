"""From a step and a request to the actions that a connection plays: pure, so HTTP/1.1 and HTTP/2 share it."""

from __future__ import annotations

import email.utils
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mitm_balancer.testing.ask import Ask, AskKind
from mitm_balancer.testing.step import BEFORE_START, Closing, CutHow, Framing, Step, Trouble
from mitm_balancer.testing.voices import VOICES, Fault, Voice
from mitm_balancer.testing.voices.base import ErrorAnswer, ErrorKind, dump

type Headers = tuple[tuple[str, str], ...]

GZIP_WINDOW = 31
"""zlib's `wbits` for a gzip stream."""


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class Inform:
    status: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Head:
    """`length` is None for a stream."""

    status: int
    headers: Headers
    framing: Framing
    length: int | None
    closing: Closing


@dataclass(frozen=True, slots=True)
class Data:
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    trailers: Headers = ()


@dataclass(frozen=True, slots=True)
class Cut:
    how: CutHow


@dataclass(frozen=True, slots=True)
class Raw:
    data: bytes


type Action = Wait | Inform | Head | Data | End | Cut | Raw


def plan(step: Step, ask: Ask) -> Iterator[Action]:
    """The actions in order. The last is End or Cut."""
    if step.raw:
        yield from (Raw(part) for part in step.raw)
        yield Cut(CutHow.FIN)
        return
    for code in step.info:
        yield Inform(code, (("link", "</fake.css>; rel=preload"),) if code == 103 else ())
    if step.silence:
        yield Wait(step.silence)
    if step.cut is not None:
        yield Cut(step.cut)
        return
    answer = _answer(step, ask)
    if step.coding == "gzip":
        answer = _gzipped(answer)
    yield from _split(answer, step.split) if step.split else answer


def _answer(step: Step, ask: Ask) -> Iterator[Action]:
    voice = VOICES[ask.dialect]
    if step.fault is not None:
        return _refusal(step, ask, voice.error(ask, step.fault))
    if ask.stream and step.body is None:
        return _stream(step, ask)
    if step.trouble is Trouble.ERROR:
        return _refusal(step, ask, voice.error(ask, _fault(step)))
    return _whole(step, ask)


def _refusal(step: Step, ask: Ask, error: ErrorAnswer) -> Iterator[Action]:
    body = error.body if step.body is None else step.body
    yield _head(step, ask, step.status or error.status, error.headers, len(body))
    yield Data(body)
    yield End(step.trailers)


def _whole(step: Step, ask: Ask) -> Iterator[Action]:
    voice = VOICES[ask.dialect]
    body = _plain_body(step, ask, voice)
    if step.trouble is Trouble.MALFORMED:
        body = body[: len(body) // 2]
    if step.pings:
        yield Wait(step.pings * step.ping_gap)
    yield _head(step, ask, step.status or 200, (), len(body))
    if step.head_pause:
        yield Wait(step.head_pause)
    match step.trouble:
        case Trouble.FIN | Trouble.RST | Trouble.STALL:
            if step.after > BEFORE_START:
                yield Data(body[: len(body) // 2])
            yield from _trouble(step, ask)
        case _:
            yield Data(body)
            yield End(step.trailers)


def _plain_body(step: Step, ask: Ask, voice: Voice) -> bytes:
    if step.body is not None:
        return step.body
    match ask.kind:
        case AskKind.COUNT:
            return voice.count()
        case AskKind.MODELS:
            return voice.models()
        case AskKind.OTHER:
            return dump({"ok": True, "account": ask.label})
    text = "".join(_texts(step, ask))
    return voice.body(ask, text + "x" * (step.body_bytes - len(voice.body(ask, text))))


def _stream(step: Step, ask: Ask) -> Iterator[Action]:
    """Position -1 is right after the head, 0 after the opening events, n after n content events."""
    frames = VOICES[ask.dialect].frames(ask, _texts(step, ask))
    yield _head(step, ask, step.status or 200, (), None)
    if step.head_pause:
        yield Wait(step.head_pause)
    parts: list[tuple[bytes, ...]] = [(), frames.start, *((frame,) for frame in frames.content)]
    for position, part in enumerate(parts, BEFORE_START):
        if position > 1 and step.gap:
            yield Wait(step.gap)
        yield from (Data(frame) for frame in part)
        if position == step.pings_at:
            yield from _pings(step, VOICES[ask.dialect])
        if position == step.after and step.trouble not in (None, Trouble.NO_END):
            yield from _trouble(step, ask)
            if step.trouble is not Trouble.MALFORMED:
                return
    yield from (Data(frame) for frame in (frames.end[:-1] if step.trouble is Trouble.NO_END else frames.end))
    yield End(step.trailers)


def _pings(step: Step, voice: Voice) -> Iterator[Action]:
    for _ in range(step.pings):
        if step.ping_gap:
            yield Wait(step.ping_gap)
        yield Data(voice.ping)


def _trouble(step: Step, ask: Ask) -> Iterator[Action]:
    voice = VOICES[ask.dialect]
    match step.trouble:
        case Trouble.ERROR:
            yield Data(voice.error_frame(ask, _fault(step)))
            yield End(step.trailers)
        case Trouble.MALFORMED:
            yield Data(voice.malformed)
        case Trouble.STALL:
            yield Wait(step.stall)
            yield Cut(CutHow.RST)
        case Trouble.FIN:
            yield Cut(CutHow.FIN)
        case _:
            yield Cut(CutHow.RST)


def _fault(step: Step) -> Fault:
    return step.trouble_fault or Fault(ErrorKind.OVERLOADED)


def _texts(step: Step, ask: Ask) -> tuple[str, ...]:
    """The text of each content event; the account's label stands in it unless the step has its own text."""
    if step.text is None:
        texts = [f"{ask.label}:{number} " for number in range(step.events)]
    else:
        size = max(1, -(-len(step.text) // max(1, step.events)))
        texts = [step.text[start : start + size] for start in range(0, len(step.text), size)]
    if step.giant:
        texts[1:2] = ["x" * step.giant]
    return tuple(texts)


def _head(step: Step, ask: Ask, status: int, extra: Headers, length: int | None) -> Head:
    framing = step.framing
    if framing is Framing.AUTO:
        framing = Framing.CHUNKED if length is None or step.trailers or step.coding else Framing.LENGTH
    streamed = length is None and not ask.json_array
    defaults: list[tuple[str, str]] = [
        ("date", email.utils.formatdate(ask.now, usegmt=True)),
        ("content-type", "text/event-stream; charset=utf-8" if streamed else "application/json"),
        *VOICES[ask.dialect].headers(ask),
        *extra,
    ]
    if streamed:
        defaults.append(("cache-control", "no-cache"))
    if step.coding:
        defaults.append(("content-encoding", step.coding))
    own = {name.lower() for name, _ in step.headers}
    headers = tuple(pair for pair in defaults if pair[0] not in own) + step.headers
    return Head(status, headers, framing, None if step.coding else length, step.closing)


def _gzipped(actions: Iterator[Action]) -> Iterator[Action]:
    """Each event can be decoded as soon as it has arrived."""
    coder = zlib.compressobj(wbits=GZIP_WINDOW)
    for action in actions:
        match action:
            case Data(data):
                yield Data(coder.compress(data) + coder.flush(zlib.Z_SYNC_FLUSH))
            case End():
                yield Data(coder.flush())
                yield action
            case _:
                yield action


def _split(actions: Iterator[Action], size: int) -> Iterator[Action]:
    for action in actions:
        if isinstance(action, Data):
            yield from (Data(action.data[at : at + size]) for at in range(0, len(action.data), size))
        else:
            yield action

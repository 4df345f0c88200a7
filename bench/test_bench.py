"""The bench's own arithmetic and its relay: `pytest bench`. A yardstick that is wrong is worse than none."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from bench import cases, client, proc, relay, report, wire
from bench.cases import Bar, Case
from bench.job import Load, Result
from bench.runner import Round, Run

DELAY_MS = 20.0


def result(rate: float) -> Result:
    """One second at `rate` requests per second."""
    return Result(seconds=1.0, latency_ms=[1.0] * int(rate))


def run(*rounds: dict[str, float]) -> Run:
    case = Case("t", "t", Load(1), "requests/s", cases.per_second, (Bar("c", "b", low=0.9),))
    return Run(case, [Round({letter: result(rate) for letter, rate in r.items()}) for r in rounds])


def test_a_ratio_is_taken_within_each_round_and_the_median_is_judged() -> None:
    """The machine gets ten times slower in round two; the ratios do not see it."""
    (line,) = report.ratios(run({"b": 1000, "c": 950}, {"b": 100, "c": 95}, {"b": 1000, "c": 500}))
    assert line.spread.values == pytest.approx((0.95, 0.95, 0.5))
    assert line.passed is True


def test_a_missed_bar_is_marked() -> None:
    (line,) = report.ratios(run({"b": 100, "c": 80}))
    assert line.passed is False
    assert "MISS" in str(line)


@pytest.mark.parametrize(("bar", "ratio", "holds"), [
    (Bar("c", "b", low=0.9), 0.9, True),
    (Bar("c", "b", low=0.9), 0.89, False),
    (Bar("c", "a", high=0.6), 0.6, True),
    (Bar("c", "a", high=0.6), 0.61, False),
])  # fmt: skip
def test_bars_are_inclusive(bar: Bar, ratio: float, holds: bool) -> None:
    assert bar.holds(ratio) is holds


def test_a_redispatch_costs_what_is_left_after_the_first_attempt_and_the_refusal() -> None:
    measured = Round({"c": Result(latency_ms=[10.0, 4.0, 10.0, 4.0], attempts=[2, 1, 2, 1])}, Result(latency_ms=[5.0]))
    assert report.redispatch_cost(measured, "c") == pytest.approx(1.0)


def test_without_redispatches_there_is_no_cost() -> None:
    measured = Round({"c": Result(latency_ms=[4.0], attempts=[1])}, Result(latency_ms=[5.0]))
    assert report.redispatch_cost(measured, "c") is None


def test_the_ask_survives_the_header() -> None:
    ask = wire.Ask(events=3, gap_ms=1.5, size=9, refuse="r-1")
    assert wire.Ask.decode(ask.encode()) == ask


@pytest.mark.parametrize("size", [4096, 1_000_000])
def test_a_request_body_has_the_size_asked_for(size: int) -> None:
    assert len(wire.request_body(size, stream=True)) == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("step", [1, 7, 25, 200])
def test_events_are_counted_across_any_cut(step: int) -> None:
    """Event borders and stamps may fall anywhere in the client's reads."""

    async def count() -> tuple[int, list[int]]:
        answer = client.Answer()
        data = b"".join(b"event: x\ndata: {%b%d}\n\n" % (wire.STAMP, n) for n in range(5))
        for at in range(0, len(data), step):
            answer.body(data[at : at + step], now=100)
        return answer.events, answer.delays_ns

    assert uvloop.run(count()) == (5, [100, 99, 98, 97, 96])


def test_the_relay_is_forty_milliseconds_away_and_so_is_its_connect() -> None:
    """First exchange: a round trip for TCP and one for the bytes; then one each. Large bodies arrive whole."""

    async def measure() -> tuple[list[float], bytes]:
        target, port = proc.free_port(), proc.free_port()
        echo = await asyncio.start_server(_echo, "127.0.0.1", target)
        async with asyncio.TaskGroup() as group:
            server = group.create_task(relay.serve(port, target, DELAY_MS))
            await asyncio.sleep(0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            times = []
            for _ in range(3):
                begin = time.perf_counter()
                writer.write(b"x")
                await reader.readexactly(1)
                times.append((time.perf_counter() - begin) * 1000)
            writer.write(b"y" * 3_000_000)
            large = await reader.readexactly(3_000_000)
            writer.close()
            echo.close()
            server.cancel()
        return times, large

    (first, *later), large = uvloop.run(measure())
    assert first == pytest.approx(4 * DELAY_MS, abs=8)
    assert later == pytest.approx([2 * DELAY_MS] * 2, abs=8)
    assert large == b"y" * 3_000_000


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()

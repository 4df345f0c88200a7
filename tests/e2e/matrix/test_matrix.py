"""The fault matrix: every row, in every dialect, form and protocol where it makes sense, over real TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Concatenate

import pytest
import pytest_asyncio

from e2e.harness import BIN, Proxy, bare_environment, start_proxy
from e2e.helpers import config_of
from e2e.matrix.case import Answered, Case, afterwards, ask, cases, told
from e2e.matrix.checks import check_answer, check_not_sent_again
from e2e.matrix.row import After, Row, Seen, Setting
from e2e.matrix.rows import ROWS
from e2e.matrix.traces import traces
from mitm_balancer.testing import CA, FakeProvider

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 16
AMBIGUOUS = tuple(row for row in ROWS if row.ambiguous)


class Stage:
    """One fake provider, and a proxy for each policy, started when a row first needs it."""

    def __init__(self, folder: Path, fake: FakeProvider, stack: contextlib.AsyncExitStack) -> None:
        self.fake = fake
        self._folder, self._stack = folder, stack
        self._ready: dict[tuple[Setting, bool], tuple[Proxy, dict[str, list[Case]]]] = {}

    async def of(self, row: Row, *, retry_ambiguous: bool) -> tuple[Proxy, list[Case]]:
        """The proxy with the row's policy, and the row's cases there."""
        key = (row.setting, retry_ambiguous)
        if key not in self._ready:
            self._ready[key] = await self._start(*key)
        proxy, by_row = self._ready[key]
        return proxy, by_row[row.name]

    async def _start(self, setting: Setting, retry_ambiguous: bool) -> tuple[Proxy, dict[str, list[Case]]]:
        rows = [row for row in ROWS if row.setting is setting and (retry_ambiguous or row.ambiguous)]
        tag = "" if retry_ambiguous else "-once"
        by_row = {row.name: cases(self.fake, row, tag) for row in rows}
        text = config_of(
            [case.corner for group in by_row.values() for case in group],
            policy=setting.policy(retry_ambiguous=retry_ambiguous),
        )
        folder = self._folder / f"{setting.name.lower()}{tag}"
        folder.mkdir()
        return await self._stack.enter_async_context(start_proxy(folder, text, fake=self.fake)), by_row


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, fake_ca: CA) -> AsyncIterator[Stage]:
    async with contextlib.AsyncExitStack() as stack:
        fake = await stack.enter_async_context(FakeProvider({}, ca=fake_ca))
        yield Stage(tmp_path_factory.mktemp("matrix"), fake, stack)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_row(row: Row, stage: Stage) -> None:
    """What the client sees, the attempts, the bill, the trace, and the first account afterwards: as the row says."""
    proxy, group = await stage.of(row, retry_ambiguous=True)
    answers = await ask_all(proxy, group)
    failures = Failures()
    for case, answered in answers.items():
        failures.collect(check_answer, case, answered, stage.fake)
        failures.collect(check_ledger, case, stage.fake)
    found = await traces(proxy.home, {told(answered.answer)[0] for answered in answers.values()})
    for case, answered in answers.items():
        record = found[told(answered.answer)[0]]
        failures.collect(check_trace, case, record)
    for case, after in zip(group, await gather(group, lambda case: afterwards(proxy, stage.fake, case)), strict=True):
        failures.collect(check_after, case, after)
    failures.tell()


@pytest.mark.parametrize("row", AMBIGUOUS, ids=lambda row: row.name)
async def test_row_that_may_be_billed_is_not_sent_again_where_that_is_forbidden(row: Row, stage: Stage) -> None:
    """P5 with `retry_ambiguous: false`: one attempt, one accepted generation, a clean error; the account is ready."""
    proxy, group = await stage.of(row, retry_ambiguous=False)
    failures = Failures()
    for case, answered in (await ask_all(proxy, group)).items():
        failures.collect(check_not_sent_again, case, answered, stage.fake)
        failures.collect(check_billed, case, stage.fake, 1)
    for case, after in zip(group, await gather(group, lambda case: afterwards(proxy, stage.fake, case)), strict=True):
        failures.collect(check_after, case, after)
    failures.tell()


async def test_why_says_that_it_may_be_billed_twice(stage: Stage) -> None:
    """What an operator reads about an ambiguous request (P5)."""
    row = next(row for row in AMBIGUOUS if row.setting is Setting.PLAIN)
    proxy, group = await stage.of(row, retry_ambiguous=True)
    stage.fake.play(group[0].corner.labels[0], row.step)
    answer = (await ask(proxy, group[0], "why")).answer
    request_id = told(answer)[0]
    await traces(proxy.home, {request_id})
    why = await asyncio.create_subprocess_exec(
        *(str(BIN / "balancer"), "--home", str(proxy.home), "why", request_id),
        env=bare_environment(proxy.home.parent),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await why.communicate()
    assert why.returncode == 0 and b"may be billed twice" in out, out


def check_ledger(case: Case, fake: FakeProvider) -> None:
    """P1 and P5, counted by the provider."""
    records = [record for record in fake.ledger if record.test_id == case.name]
    assert len(records) == case.row.attempts, f"{len(records)} requests arrived"
    assert all(len(record.carriers) == 1 for record in records), "more credentials than one"
    check_billed(case, fake, 0 if case.row.seen is Seen.REFUSAL else case.row.accepted)


def check_billed(case: Case, fake: FakeProvider, times: int) -> None:
    """Exactly so often: a row that is called ambiguous and is not would hide a second bill elsewhere."""
    accepted = fake.ledger.accepted()[case.name]
    assert accepted == times, f"{accepted} generations accepted"


def check_trace(case: Case, record: dict[str, Any]) -> None:
    """The trace tells of a second bill where one may come, and only there; a broken answer is not called complete."""
    attempts = record["attempts"]
    assert len(attempts) == case.row.attempts, json.dumps(attempts)
    doubtful = [number for number, attempt in enumerate(attempts) if attempt.get("may_be_billed_twice")]
    told_twice = [0, 1] if case.row.seen is Seen.OWN else [0]
    assert doubtful == (told_twice if case.row.ambiguous else []), json.dumps(record)
    broken = case.row.seen in (Seen.ERROR_EVENT, Seen.BROKEN)
    assert str(record["ended"]).startswith("broken" if broken else "complete"), record["ended"]


def check_after(case: Case, after: After) -> None:
    assert after is case.row.after_in(case.speech), f"afterwards it is {after.value}"


async def ask_all(proxy: Proxy, group: list[Case]) -> dict[Case, Answered]:
    answers = await gather(group, lambda case: ask(proxy, case, case.name))
    return dict(zip(group, answers, strict=True))


async def gather[T](group: list[Case], work: Callable[[Case], Awaitable[T]]) -> list[T]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> T:
        async with room:
            try:
                return await work(case)
            except (AssertionError, OSError, asyncio.IncompleteReadError) as error:
                raise AssertionError(f"{case.name}: {error!r}") from error

    return await asyncio.gather(*(one(case) for case in group))


class Failures:
    """All that is wrong with a row, told at once."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def collect[**P](
        self, check: Callable[Concatenate[Case, P], None], case: Case, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        try:
            check(case, *args, **kwargs)
        except (AssertionError, LookupError, ValueError) as error:
            self._said.append(f"{case.name}: {repr(error).splitlines()[0][:600]}")

    def tell(self) -> None:
        assert not self._said, "\n".join(self._said)

"""Several processes and one login; and processes that are killed in the middle of a renewal (P8)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from refresh_world import World, refresh_of

from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin

SCRIPT = Path(__file__).with_name("renewing_process.py")

PROCESSES = 8
ROUNDS = 4

type Process = asyncio.subprocess.Process


@contextlib.asynccontextmanager
async def started(home: Path, count: int = 1, kill: str = "") -> AsyncIterator[list[Process]]:
    command = [sys.executable, str(SCRIPT), str(home), *([kill] if kill else [])]
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=dict(os.environ))
        for _ in range(count)
    ]
    try:
        for process in processes:
            assert await heard(process) == "ready"
        yield processes
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def heard(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()


async def told(processes: list[Process], line: str) -> list[str]:
    """Tell all of them at once; what each of them answers."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{line}\n".encode())
    return await asyncio.gather(*(heard(process) for process in processes))


async def test_eight_processes_make_one_refresh_per_generation(world: World) -> None:
    world.add()
    async with started(world.home, PROCESSES) as processes:
        for generation in range(1, ROUNDS + 1):
            assert await told(processes, "read") == [str(generation)] * PROCESSES
            answers = await told(processes, "renew")
            assert sorted(answers) == [f"fresh {generation + 1} ours"] + [f"fresh {generation + 1} theirs"] * (
                PROCESSES - 1
            )
            assert len(world.tokens.refreshes) == generation
    assert world.tokens.reuses == 0
    assert refresh_of(world.stored()) == world.tokens.logins["work"].given.refresh


@pytest.mark.parametrize(
    ("kill", "sent", "then"),
    [
        ("before:1", 0, Fresh),
        ("after:1", 0, NeedsLogin),  # noted, and whether it was sent nobody knows
        ("before:2", 1, NeedsLogin),  # the answer had come, and was on no disk yet
        ("after:2", 1, Fresh),
        ("before:3", 1, Fresh),
        ("after:3", 1, Fresh),
    ],
)
async def test_a_kill_at_any_write_loses_no_stored_pair_and_uses_no_token_twice(
    world: World, kill: str, sent: int, then: type
) -> None:
    world.add()
    async with started(world.home, 1, kill) as processes:
        await told(processes, "read")
        assert await told(processes, "renew") == [""], "it is dead"
    assert len(world.tokens.refreshes) == sent
    if kill in ("after:2", "before:3", "after:3"):
        assert refresh_of(world.stored()) == world.tokens.logins["work"].given.refresh
    done = await world.renew(world.stored())
    assert isinstance(done, then)
    assert world.tokens.reuses == 0
    if isinstance(done, Fresh):
        assert refresh_of(world.stored()) == world.tokens.logins["work"].given.refresh


async def test_a_process_that_was_killed_holds_nobody_up(world: World) -> None:
    """The kernel lets its lock go."""
    world.add()
    async with started(world.home, 1, "before:2") as processes:
        await told(processes, "read")
        await told(processes, "renew")
    async with asyncio.timeout(20):
        await world.renew(world.stored())

"""A refresher over a real store, a real pool and a real token endpoint on loopback."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from refresh_world import World

from mitm_balancer.testing import FakeProvider

type Worlds = Callable[..., World]


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider({}, ca=None) as fake:
        yield fake


@pytest_asyncio.fixture
async def worlds(fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worlds]:
    monkeypatch.setenv("BALANCER_VAULT", "file")
    made: list[World] = []

    def make(**fields: object) -> World:
        world = World(fake, tmp_path / "home", rng=random.Random(1), **fields)
        made.append(world)
        return world

    yield make
    for world in made:
        await world.close()


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds()

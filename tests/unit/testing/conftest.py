"""One CA for all tests of the fake, and a provider with two accounts in front of a raw client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mitm_balancer.testing import CA, FakeProvider, make_ca


@pytest.fixture(scope="session")
def fake_ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    folder: Path = tmp_path_factory.mktemp("fake-ca")
    return make_ca(folder)


@pytest.fixture
async def fake(fake_ca: CA) -> AsyncIterator[FakeProvider]:
    async with FakeProvider({"KEY-A": "a", "KEY-B": "b"}, ca=fake_ca) as provider:
        yield provider

"""Every test of the upstream pool runs on asyncio's own loop and on uvloop, and may leave no socket open."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop

from mitm_balancer.testing import CA, Leaf, make_ca
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.tls import TlsSettings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.filterwarnings("error"))


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    return make_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def leaf(ca: CA) -> Leaf:
    """The certificate of `localhost` and 127.0.0.1."""
    return ca.issue(["localhost", "127.0.0.1"])


@pytest.fixture
def trusting(ca: CA) -> TlsSettings:
    return TlsSettings(trusted_ca=str(ca.cert_path))


@pytest_asyncio.fixture
async def pool(trusting: TlsSettings) -> AsyncIterator[Pool]:
    pool = Pool(trusting)
    yield pool
    await pool.aclose()
    await asyncio.sleep(0.01)
    gc.collect(1)  # a forgotten socket warns here, and a warning is an error

"""Fixtures of the end-to-end tests; every test below this folder gets the mark `e2e`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import How, Proxy, start_proxy
from mitm_balancer.testing import CA, FakeProvider, make_ca

HERE = Path(__file__).parent

type Launch = Callable[..., Awaitable[Proxy]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def fake_ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    return make_ca(tmp_path_factory.mktemp("fake-ca"))


@pytest.fixture
async def fake(fake_ca: CA) -> AsyncIterator[FakeProvider]:
    """A provider with the accounts a, b and c, whose credentials are KEY-A, KEY-B and KEY-C."""
    async with FakeProvider({"KEY-A": "a", "KEY-B": "b", "KEY-C": "c"}, ca=fake_ca) as provider:
        yield provider


@pytest.fixture(params=["mitmdump", "balancer"])
def how(request: pytest.FixtureRequest) -> How:
    """Both ways to start the proxy; a test that asks for it runs twice."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
async def launch(tmp_path: Path, fake: FakeProvider) -> AsyncIterator[Launch]:
    """`await launch(text, how=..., args=..., env=...)`: a proxy that ends with the test; a failure shows its log."""
    started: list[Proxy] = []
    async with contextlib.AsyncExitStack() as stack:

        async def start(config_text: str | None = None, folder: Path | None = None, **options: Any) -> Proxy:
            where = folder or tmp_path
            proxy = await stack.enter_async_context(start_proxy(where, config_text, fake=fake, **options))
            started.append(proxy)
            return proxy

        yield start
    for proxy in started:
        print(f"--- {proxy.log.name}\n{proxy.output}")

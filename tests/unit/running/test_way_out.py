"""How the proxy's own connections leave this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mitm_balancer.app import App, compose
from mitm_balancer.proxy.addon import Settings
from mitm_balancer.running.way_out import WayOut
from mitm_balancer.upstream.base import Origin
from mitm_balancer.upstream.dial import Via
from mitm_balancer.upstream.tls import TlsSettings

ORIGIN = Origin("https", "api.anthropic.com", 443)
CORPORATE = Via("http", "proxy.corp.example", 3128)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = compose(Settings("", str(tmp_path / "home")))
    assert app is not None
    yield app
    app.close()


def test_we_are_no_proxy_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:8080")
    way = WayOut()
    assert way.route(ORIGIN) == Via("http", "127.0.0.1", 8080)
    way.addresses = (("127.0.0.1", 8080),)
    assert way.route(ORIGIN) is None
    assert way.of_environment(ORIGIN.host, ORIGIN.port) is None


@pytest.mark.parametrize(
    "url", ["http://proxy.example:port", "http://proxy.example:99999", "http://[::1", "socks5://x:1"]
)
def test_what_is_no_proxy_url_stops_no_request(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """It is asked on the way of each request, the client's own as well."""
    monkeypatch.setenv("HTTPS_PROXY", url)
    assert WayOut().route(ORIGIN) is None


def test_what_mitmproxy_is_told_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example:1")
    assert WayOut(CORPORATE).route(ORIGIN) == CORPORATE
    assert WayOut(CORPORATE).of_environment(ORIGIN.host, ORIGIN.port) is None
    assert WayOut().of_environment(ORIGIN.host, ORIGIN.port) == Via("http", "other.example", 1)


def test_another_way_leaves_no_connection_of_the_old_one(app: App) -> None:
    """The pool tells by its function whether the way is another one."""
    app.network(TlsSettings(), None)
    before = app.pool.via
    app.network(TlsSettings(), None)
    assert app.pool.via == before, "any option of mitmproxy calls this: connections stay"
    app.network(TlsSettings(), CORPORATE)
    assert app.pool.via != before
    assert app.pool.via(ORIGIN) == CORPORATE

"""A failure of ours before the call begins: the request goes on as it came (P10)."""

from __future__ import annotations

from pathlib import Path

import pytest
from mitmproxy import options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode, RequestHeaders
from mitmproxy.test import taddons, tflow, tutils

from mitm_balancer.app import addon
from mitm_balancer.proxy.stream import BalancedLayer

CONFIG = "version: 1\naccounts: [{provider: gemini, alias: a, credential: the-accounts}]"


def test_the_clients_own_credential_is_still_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """There is no proxyserver here, so it fails when the credential is hidden already."""
    home = tmp_path / "home"
    home.mkdir(0o700)
    (home / "config.yaml").write_text(CONFIG)
    balancer = addon()
    with taddons.context(balancer) as context:
        context.configure(balancer, balancer_home=str(home))
        assert balancer.backend is not None
        try:
            host = "generativelanguage.googleapis.com"
            path = "/v1beta/models/m:generateContent?key=mine"
            request = tutils.treq(host=host, port=443, method=b"POST", path=path.encode())
            request.headers["x-goog-api-key"] = "mine"
            world = Context(tflow.tclient_conn(), options.Options())
            world.server.address = (host, 443)
            layer = BalancedLayer(world, HTTPMode.transparent, balancer.open_call, keep_bodies=False)
            assert balancer.open_call(world, RequestHeaders(1, request, False), layer) is None
            assert "internal error" in caplog.text
            assert request.headers["x-goog-api-key"] == "mine"
            assert request.path == path
        finally:
            balancer.backend.close()

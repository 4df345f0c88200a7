"""Variant (b): the least an addon can do that still streams. What mitmproxy itself costs."""

from __future__ import annotations

from mitmproxy import http


def responseheaders(flow: http.HTTPFlow) -> None:
    """Do not buffer the response."""
    assert flow.response is not None
    flow.response.stream = True

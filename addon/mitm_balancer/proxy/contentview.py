"""The content view `Balancer` in mitmproxy and mitmweb: why this flow went where it went."""

from __future__ import annotations

from mitmproxy import contentviews
from mitmproxy.contentviews import Contentview, Metadata

from mitm_balancer.ops.story import story
from mitm_balancer.proxy.display import METADATA


class Balancer(Contentview):
    """Chosen by hand: it shows the decision in the place of the body, so it is never the automatic view."""

    def prettify(self, data: bytes, metadata: Metadata) -> str:  # noqa: ARG002
        record = metadata.flow.metadata.get(METADATA) if metadata.flow is not None else None
        if not isinstance(record, dict):
            return "This flow was not balanced.\n"
        return "\n".join(story(record)) + "\n"

    def render_priority(self, data: bytes, metadata: Metadata) -> float:  # noqa: ARG002
        return -1


_view = Balancer()


def register() -> None:
    """Make it known; once per process, a script reload included."""
    if _view.name.lower() not in {name.lower() for name in contentviews.registry.available_views()}:
        contentviews.add(_view)

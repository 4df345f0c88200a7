"""Path tables that several providers share: the OpenAI surface under a prefix, and the Anthropic one."""

from __future__ import annotations

from mitm_balancer.providers.model import Auth, Dialect, PathKind, PathRule

X_API_KEY = Auth(header="x-api-key")

_MODELS = ("GET",)


def openai_surface(prefix: str, *, responses: bool = False) -> tuple[PathRule, ...]:
    """The paths of an OpenAI-compatible host whose `/v1` is `prefix`; stored resources belong to their account."""
    inference = tuple(
        PathRule(prefix + path)
        for path in (
            "/chat/completions",
            "/completions",
            "/embeddings",
            "/moderations",
            "/rerank",
            "/images/*",
            "/audio/*",
        )
    )
    models = (PathRule(prefix + "/models", methods=_MODELS), PathRule(prefix + "/models/*", methods=_MODELS))
    bound = tuple(PathRule(prefix + path, PathKind.BOUND) for path in ("/files*", "/batches*", "/fine*tun*"))
    if not responses:
        return (*inference, *models, *bound)
    stored = PathRule(prefix + "/responses/*", PathKind.BOUND, Dialect.OPENAI_RESPONSES)
    return (PathRule(prefix + "/responses", dialect=Dialect.OPENAI_RESPONSES), stored, *inference, *models, *bound)


def anthropic_surface(prefix: str, *, auth: Auth | None = None, mirror: bool = False) -> tuple[PathRule, ...]:
    """`prefix` + `/messages` and its token count, in Anthropic's dialect."""
    return tuple(
        PathRule(prefix + path, dialect=Dialect.ANTHROPIC_MESSAGES, auth=auth, mirror=mirror)
        for path in ("/messages", "/messages/count_tokens")
    )

"""MiniMax: errors also inside a 200, as `base_resp` (wire-facts section 20)."""

from mitm_balancer.core.verdict import Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider
from mitm_balancer.providers.paths import X_API_KEY, anthropic_surface, openai_surface

ERRORS = (
    ErrorRule(Verdict.RATE_LIMITED, "rate_limit", codes=("1002",)),
    ErrorRule(Verdict.RATE_LIMITED, "token_limit", codes=("1039",)),
    ErrorRule(Verdict.RATE_LIMITED, "connection_limit", codes=("1041",), wait=5),
    ErrorRule(Verdict.AUTH_FAILURE, "not_authorised", codes=("1004", "2049")),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "insufficient_balance", codes=("1008",)),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "plan_window", codes=("2056",)),
    ErrorRule(Verdict.POLICY_FAILURE, "sensitive", codes=("1026", "1027")),
    ErrorRule(Verdict.REQUEST_FAULT, "bad_parameter", codes=("1042", "2013")),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "server_error", codes=("1000", "1001", "1024", "1033")),
)  # fmt: skip

_PATHS = (
    *anthropic_surface("/anthropic/v1", auth=X_API_KEY, mirror=True),
    PathRule("/v1/text/chatcompletion_v2"),
    PathRule("/v1/files*", PathKind.BOUND),
    *openai_surface("/v1"),
)


def _platform(name: str, host: str) -> Provider:
    return Provider(name=name, hosts=(host,), dialect=Dialect.OPENAI_CHAT, paths=_PATHS, errors=ERRORS)


PROVIDER = _platform("minimax", "api.minimax.io")
CHINA = _platform("minimax-cn", "api.minimaxi.com")

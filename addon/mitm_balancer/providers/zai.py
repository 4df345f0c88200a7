"""Z.ai and its Chinese platform: business codes in the body, no headers (wire-facts section 18)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider
from mitm_balancer.providers.paths import X_API_KEY, anthropic_surface, openai_surface

ERRORS = (
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "flow_limit", codes=("1305",), scope=Scope.PROVIDER, capacity=True),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "model_busy", codes=("1312",), scope=Scope.MODEL, capacity=True),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "network_error", codes=("1234",)),
    ErrorRule(Verdict.AUTH_FAILURE, "auth_failed", codes=("1000", "1001", "1002", "1003", "1004")),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "account_locked", codes=("1110", "1111", "1112", "1120", "1121", "1313"),
        scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "arrears", codes=("1113",)),
    ErrorRule(Verdict.RATE_LIMITED, "concurrency", codes=("1302",), wait=5),
    ErrorRule(Verdict.RATE_LIMITED, "frequency", codes=("1303",)),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "daily_calls", codes=("1304",), until_midnight="Asia/Shanghai"),
    # 5 hours; week or month: the message names the reset, in UTC+8 without saying so.
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "plan_window", codes=("1308", "1310")),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "plan_quota",
        codes=("1309", "1314", "1315", "1316", "1317", "1318", "1319", "1320", "1321"),
    ),
    ErrorRule(Verdict.MODEL_UNAVAILABLE, "model", codes=("1211", "1212", "1311")),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "no_permission", codes=("1220", "1221", "1222"), scope=Scope.MODEL, redispatch=True
    ),
    ErrorRule(Verdict.PERMISSION_FAILURE, "no_api_permission", status=(434,), scope=Scope.ACCOUNT, redispatch=True),
    ErrorRule(Verdict.REQUEST_FAULT, "context_length_exceeded", codes=("1261",)),
    ErrorRule(Verdict.REQUEST_FAULT, "bad_parameter", codes=("1210", "1213", "1214", "1215")),
    ErrorRule(Verdict.POLICY_FAILURE, "unsafe_content", codes=("1300", "1301")),
)  # fmt: skip

_PATHS = (
    PathRule("/api/anthropic/v1/files*", PathKind.BOUND),
    *anthropic_surface("/api/anthropic/v1", auth=X_API_KEY, mirror=True),
    *openai_surface("/api/coding/paas/v4"),
    *openai_surface("/api/paas/v4"),
)


def _platform(name: str, host: str) -> Provider:
    return Provider(
        name=name, hosts=(host,), dialect=Dialect.OPENAI_CHAT, paths=_PATHS, errors=ERRORS, stamp_offset=8.0,
        model_windows=r"^tools",  # of its search tools, not of its models
        companions=frozenset({"bigmodel-organization", "bigmodel-project"}),
    )  # fmt: skip


PROVIDER = _platform("zai", "api.z.ai")
CHINA = _platform("bigmodel", "open.bigmodel.cn")

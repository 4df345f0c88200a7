"""Qwen: DashScope's regions, the Coding Plan and Qwen Code's OAuth, each with its own credentials (wire-facts 19)."""

from mitm_balancer.core.verdict import Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, Provider
from mitm_balancer.providers.paths import anthropic_surface, openai_surface

ERRORS = (
    ErrorRule(Verdict.RATE_LIMITED, codes=("throttling.ratequota", "throttling.allocationquota", "throttling")),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, codes=("arrearage",)),
)  # fmt: skip

_PATHS = (
    *openai_surface("/compatible-mode/v1", responses=True),
    *anthropic_surface("/apps/anthropic/v1"),
    *openai_surface("/v1"),
)


_PLAN = ((Dialect.OPENAI_CHAT, "/v1"),)
"""The plans' OpenAI form stands here; the regions' under `/compatible-mode`."""


def _region(name: str, host: str, entries: tuple[tuple[Dialect, str], ...] = ()) -> Provider:
    return Provider(name=name, hosts=(host,), dialect=Dialect.OPENAI_CHAT, paths=_PATHS, errors=ERRORS, entries=entries)


PROVIDER = _region("qwen", "dashscope-intl.aliyuncs.com")
CHINA = _region("qwen-cn", "dashscope.aliyuncs.com")
US = _region("qwen-us", "dashscope-us.aliyuncs.com")
CODING = _region("qwen-coding", "coding-intl.dashscope.aliyuncs.com", _PLAN)
OAUTH = _region("qwen-oauth", "portal.qwen.ai", _PLAN)

"""What a provider of the user's own is taken to know: the tables of its dialect's own vendor, where it states none.

A gateway in front of Anthropic passes Anthropic's limit headers and errors on; without these tables a used-up plan
behind it could not be told from a burst.
"""

from __future__ import annotations

from dataclasses import replace

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.providers import anthropic, gemini, openai
from mitm_balancer.providers.model import Provider

_VENDORS = {
    Dialect.ANTHROPIC_MESSAGES: anthropic.PROVIDER,
    Dialect.OPENAI_CHAT: openai.PROVIDER,
    Dialect.OPENAI_RESPONSES: openai.PROVIDER,
    Dialect.GEMINI: gemini.PROVIDER,
}


def complete(provider: Provider) -> Provider:
    """A custom provider with its vendor's rows behind its own, and the vendor's limits if it has none."""
    if not provider.custom:
        return provider
    vendor = _VENDORS[provider.dialect]
    return replace(
        provider,
        errors=(*provider.errors, *vendor.errors),
        limits=provider.limits or vendor.limits,
        model_windows=provider.model_windows or vendor.model_windows,
        quiet_windows=provider.quiet_windows or vendor.quiet_windows,
    )

"""GitHub Copilot (wire-facts 4.6): a GitHub token, which never ends by itself, is exchanged for one of half an hour.

A GitHub token that Copilot takes as it is (4.2, the direct scheme) is never exchanged.
"""

from mitm_balancer.accounts.oauth.service import Form, TokenService

SERVICE = TokenService(
    provider="copilot",
    url="https://api.github.com/copilot_internal/v2/token",
    form=Form.EXCHANGE,
    client="GitHub Copilot",
    rotates=False,
    dead_statuses=frozenset({401}),
)

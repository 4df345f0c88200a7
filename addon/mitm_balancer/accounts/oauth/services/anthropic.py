"""Claude subscriptions (wire-facts 1.6, C10, C11). No grace window is known of."""

from mitm_balancer.accounts.oauth.service import TokenService

SERVICE = TokenService(
    provider="anthropic",
    url="https://platform.claude.com/v1/oauth/token",
    client_id="9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    client="Claude Code",
    identity={
        "account_uuid": ("account", "uuid"),
        "email": ("account", "email_address"),
        "org": ("organization", "uuid"),
        "org_name": ("organization", "name"),
    },
)

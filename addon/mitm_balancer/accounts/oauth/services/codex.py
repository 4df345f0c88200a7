"""ChatGPT subscriptions (wire-facts 3.6). Single use: the second one is refused as `refresh_token_reused`."""

from mitm_balancer.accounts.oauth.service import DEAD, TokenService

SERVICE = TokenService(
    provider="codex",
    url="https://auth.openai.com/oauth/token",
    client_id="app_EMoamEEZ73f0CkXaXp7hrann",
    client="Codex",
    dead_codes=DEAD | {"refresh_token_reused", "refresh_token_expired", "refresh_token_invalidated"},
)

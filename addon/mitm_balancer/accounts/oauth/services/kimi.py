"""Kimi Code subscriptions (wire-facts 17.6): each answer brings a new refresh token, so they are taken to rotate."""

from mitm_balancer.accounts.oauth.service import Form, TokenService

SERVICE = TokenService(
    provider="kimi",
    url="https://auth.kimi.com/api/oauth/token",
    form=Form.FORM,
    client_id="17e5f671-d194-4dfb-9706-5516cb48c098",
    client="Kimi CLI",
    dead_statuses=frozenset({401, 403}),
)

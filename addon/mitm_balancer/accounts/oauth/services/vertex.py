"""Vertex with a person's own login (wire-facts 7.6): client id and "secret" stand in gcloud's own file."""

from mitm_balancer.accounts.oauth.service import Form, TokenService

SERVICE = TokenService(
    provider="vertex",
    url="https://oauth2.googleapis.com/token",
    form=Form.FORM,
    client="gcloud",
    rotates=False,
)

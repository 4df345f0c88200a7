"""Gemini Code Assist (wire-facts 6.4): Google's tokens do not rotate, so a second use costs nothing."""

from mitm_balancer.accounts.oauth.service import Form, TokenService

SERVICE = TokenService(
    provider="codeassist",
    url="https://oauth2.googleapis.com/token",
    form=Form.FORM,
    client_id="681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com",
    client="Gemini CLI",
    rotates=False,
    program="gemini",
)

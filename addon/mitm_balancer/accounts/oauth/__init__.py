"""Logins that renew themselves: one refresh per generation, durable before use, and never a blind second one (P8)."""

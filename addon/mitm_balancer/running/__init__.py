"""The parts of one running proxy that `app` puts together; each stands between two or three of the packages below.

What counts: `config_file`, `declared` and `stored_accounts`, `operating` (the operator), merged and put where
requests look by `in_force`, `pools`, `policies`, `circumstances`.
What the store says: `following`, `renaming`.
What is remembered: `recording`, `bookkeeping`, `remembering`, `in_use`.
What is told: `state_row`, `publishing`, `observing`.
`preview` is the same without a proxy: who would serve now.
"""

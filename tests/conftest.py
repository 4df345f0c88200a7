"""For all tests: hypothesis without a clock, because two shared cores are slow at times; no use of a real keyring."""

import os

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# Vaults of tests are not to leave entries in the keyring of whoever runs them.
os.environ["BALANCER_VAULT"] = "file"

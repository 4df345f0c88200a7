"""For all tests: hypothesis without a clock, because two shared cores are slow at times."""

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

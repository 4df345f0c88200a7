"""The strategies that can be simulated: all that the core has."""

from __future__ import annotations

from mitm_balancer.core.strategies import BY_NAME

STRATEGIES = tuple(BY_NAME)

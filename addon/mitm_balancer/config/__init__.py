"""The user's configuration: the schema, loading, and errors that name file, line and field.

`load` reads a file, `parse` a text; both give a frozen `Config` or raise `ConfigErrors` with all that is wrong.
"""

from mitm_balancer.config.errors import ConfigError, ConfigErrors
from mitm_balancer.config.model import (
    STRATEGIES,
    VERSION,
    AccountSpec,
    Backoff,
    CircuitBreaker,
    Config,
    MatrixEntry,
    Pin,
    Policy,
    Priority,
    RoutingWeights,
    UsagePolls,
    UserRule,
)
from mitm_balancer.config.observing import Audit, Metrics, Notices
from mitm_balancer.config.reading import load, parse
from mitm_balancer.config.sources import Command, CredentialSource, Env, File, Keyring, Literal, Stored
from mitm_balancer.config.urls import BaseUrl

__all__ = [
    "STRATEGIES",
    "VERSION",
    "AccountSpec",
    "Audit",
    "Backoff",
    "BaseUrl",
    "CircuitBreaker",
    "Command",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "CredentialSource",
    "Env",
    "File",
    "Keyring",
    "Literal",
    "MatrixEntry",
    "Metrics",
    "Notices",
    "Pin",
    "Policy",
    "Priority",
    "RoutingWeights",
    "Stored",
    "UsagePolls",
    "UserRule",
    "load",
    "parse",
]

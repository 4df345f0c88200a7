"""mitm-balancer: several accounts behind one proxy, for every coding agent."""

__version__ = "0.1.0"

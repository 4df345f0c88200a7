"""Fakes that tests and demonstrations may import: a scripted provider over real TLS, its ledger, its certificates."""

from mitm_balancer.testing.ask import AskKind
from mitm_balancer.testing.certs import CA, Leaf, make_ca
from mitm_balancer.testing.fakeprovider import AcceptFault, FakeProvider
from mitm_balancer.testing.ledger import Ledger, Record
from mitm_balancer.testing.step import Closing, CutHow, Framing, Step, Trouble
from mitm_balancer.testing.voices import ErrorKind, Fault

__all__ = [
    "CA",
    "AcceptFault",
    "AskKind",
    "Closing",
    "CutHow",
    "ErrorKind",
    "FakeProvider",
    "Fault",
    "Framing",
    "Leaf",
    "Ledger",
    "Record",
    "Step",
    "Trouble",
    "make_ca",
]

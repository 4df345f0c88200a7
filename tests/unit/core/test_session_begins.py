"""A request that begins a conversation looks for no binding, and leaves one."""

from mitmproxy.test import tutils

from mitm_balancer.core.session import Bindings, SessionKeys, Tie
from mitm_balancer.proxy.session import Sessions, named


def ask(messages: str):
    return named(tutils.treq(), b'{"model":"m","messages":[%s]}' % messages.encode())


def test_equal_first_questions_are_not_one_session():
    """A script's equal questions may go anywhere; the answer to each leaves a binding for its next turn."""
    first = '{"role":"user","content":"hi"}'
    second = '{"role":"assistant","content":"ho"},{"role":"user","content":"?"}'
    sessions = Sessions()

    begun = sessions.tie("p", ask(first))
    begun.begins("p/a", 1.0)
    begun.served("p/a", 2.0, moves=True)
    again = sessions.tie("p", ask(first))
    follows = sessions.tie("p", ask(f"{first},{second}"))

    assert again.home(3.0) is None
    assert follows.home(3.0) == "p/a"


def test_a_new_session_moves_the_binding_of_one_that_began_alike():
    """The newest conversation is the likeliest to go on."""
    bindings, keys = Bindings(), SessionKeys("k")
    Tie(bindings, keys).served("p/a", 1.0, moves=True)

    Tie(bindings, keys, begins=True).served("p/b", 2.0, moves=True)

    assert Tie(bindings, keys).home(3.0) == "p/b"

"""Each choice of the user is obeyed once."""

from mitm_balancer.running.choices import Choices

FIRST = {"active": {"anthropic": "anthropic/one"}, "active_at": {"anthropic": 5.0}}


def test_a_choice_is_obeyed_once_also_over_a_restart() -> None:
    choices = Choices({})
    assert choices.fresh(FIRST) == {"anthropic": "anthropic/one"}
    choices.obey("anthropic", FIRST)
    assert choices.fresh(FIRST) == {}
    assert Choices(choices.obeyed).fresh(FIRST) == {}


def test_the_same_account_chosen_again_counts_again() -> None:
    choices = Choices({})
    choices.obey("anthropic", FIRST)
    assert choices.fresh(FIRST | {"active_at": {"anthropic": 6.0}}) == {"anthropic": "anthropic/one"}


def test_a_renamed_account_is_no_new_choice() -> None:
    choices = Choices({})
    choices.obey("anthropic", FIRST)
    choices.rename({"anthropic/one": "anthropic/uno"})
    assert choices.fresh(FIRST | {"active": {"anthropic": "anthropic/uno"}}) == {}


def test_settings_of_another_hand_are_passed_over() -> None:
    assert Choices({}).fresh({"active": ["x"], "active_at": 3}) == {}
    assert Choices({}).fresh({"active": {"a": 1, "b": "b/x"}, "active_at": None}) == {"b": "b/x"}

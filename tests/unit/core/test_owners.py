"""Who made what: bounded, forgetful in time, and against a naive model."""

from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.owners import REFRESH, TTL, Owners, fingerprint

NOW = 1_800_000_000.0

moves = st.lists(
    st.tuples(st.sampled_from(["learn", "find"]), st.sampled_from("abcdefg"), st.sampled_from(["x/1", "x/2"])),
    max_size=60,
)


@given(moves, st.integers(1, 4))
def test_like_a_list_that_is_searched(moves: list[tuple[str, str, str]], cap: int) -> None:
    """Each learn and each hit makes an id the newest; only the newest `cap` are known."""
    owners, model = Owners(cap=cap), []
    for verb, key, account in moves:
        before = dict(model)
        if verb == "learn":
            assert owners.learn(key, account, NOW) == (before.get(key) != account)
            model = [*(pair for pair in model if pair[0] != key), (key, account)][-cap:]
        else:
            assert owners.find(key, NOW) == before.get(key)
            if key in before:
                model = [*(pair for pair in model if pair[0] != key), (key, before[key])]
        assert len(owners) == len(model)


def test_what_was_not_seen_for_30_days_is_forgotten() -> None:
    owners = Owners()
    owners.learn("k", "p/a", NOW)
    assert owners.find("k", NOW + TTL - 1) == "p/a"
    assert owners.find("k", NOW + TTL) is None
    assert len(owners) == 0


def test_seeing_it_again_is_news_once_a_day_and_renews_it() -> None:
    owners = Owners()
    assert owners.learn("k", "p/a", NOW)
    assert not owners.learn("k", "p/a", NOW + REFRESH - 1)
    assert owners.learn("k", "p/a", NOW + REFRESH), "the first sight counts, not the last: else it never gets old"
    assert owners.find("k", NOW + TTL + 1) == "p/a"
    assert owners.learn("k", "p/b", NOW + REFRESH), "another account is always news"
    assert owners.learn("k", "p/b", NOW - 5), "a clock that went back"


def test_restore_takes_what_is_young_and_not_known_better() -> None:
    owners = Owners(cap=2)
    owners.learn("known", "p/new", NOW)
    owners.restore([("known", "p/old", NOW - 9), ("dead", "p/a", NOW - TTL), ("fresh", "p/b", NOW - TTL + 1)], NOW)
    assert [owners.find(key, NOW) for key in ("known", "dead", "fresh")] == ["p/new", None, "p/b"]
    assert owners.find("fresh", NOW + 1) is None, "its own time counts, not that of the restart"


def test_fingerprints_tell_nothing_and_differ_by_all_that_matters() -> None:
    made = fingerprint(b"s" * 32, "openai", "file-abc")
    assert len(made) == 32 and "abc" not in made
    others = [
        fingerprint(b"t" * 32, "openai", "file-abc"),
        fingerprint(b"s" * 32, "azure", "file-abc"),
        fingerprint(b"s" * 32, "openai", "file-abd"),
        fingerprint(b"s" * 32, "openaifile", "-abc"),
        fingerprint(b"s" * 32, "openai", "\udc80"),
    ]
    assert len({made, *others}) == 6
    assert made == fingerprint(b"s" * 32, "openai", "file-abc")

"""`balancer accounts import`: what it shows, what it asks, and whose the refresh tokens are afterwards."""

from __future__ import annotations

import json

import pytest

from unit.accounts.importing.clientfiles import ACCESS, CLAUDE, CLAUDE_SETTINGS, CODEX, OPENCODE, REFRESH, put
from unit.cli.cli_accounts_world import World

NEWER = "sk-ant-oat01-CANARY-newer-cccccccccccc"
FILE = ".claude/.credentials.json"


@pytest.fixture
def claude(world: World) -> World:
    put(world.user / FILE, CLAUDE)
    put(world.user / ".claude.json", CLAUDE_SETTINGS)
    return world


def test_nothing_to_find(world: World) -> None:
    code, out, _ = world.run("import")
    assert code == 0
    assert "nothing was found; looked at Claude Code, Codex, opencode" in out
    assert world.run("import", "--from", "codex", "--yes")[0] == 1
    assert not world.home.exists()


def test_it_only_shows_where_nobody_can_be_asked(claude: World) -> None:
    code, out, _ = claude.run("import")
    assert (code, claude.home.exists()) == (0, False)  # a look makes no home
    assert "anthropic/ann  login of ann@example.com (max), " in out
    assert "~/.claude/.credentials.json: new" in out
    assert "import --yes stores all that is new" in out
    assert max(map(len, out.splitlines()[:3])) <= 80


def test_json_without_yes_stores_nothing(claude: World) -> None:
    code, out, _ = claude.run("import", "--json")
    (found,) = json.loads(out)["found"]
    assert (code, claude.home.exists()) == (0, False)
    assert (found["account"], found["email"], found["rotates"], found["saved_as"]) == (
        "anthropic/ann", "ann@example.com", True, None,
    )  # fmt: skip


def test_yes_leaves_the_refresh_token_to_the_agent(claude: World) -> None:
    code, out, _ = claude.run("import", "--yes")
    assert (code, claude.tokens("anthropic/ann")) == (0, (ACCESS, None))
    assert "access token only" in out
    assert json.loads((claude.user / FILE).read_text()) == CLAUDE
    assert claude.accounts()["anthropic/ann"].source == "import:claude"


def test_again_with_newer_tokens_renews_and_with_the_same_does_nothing(claude: World) -> None:
    claude.run("import", "--yes")
    claude.run("import", "--yes")
    assert claude.accounts()["anthropic/ann"].generation == 1
    later = CLAUDE["claudeAiOauth"] | {"accessToken": NEWER, "expiresAt": 1895357710176}
    put(claude.user / FILE, {"claudeAiOauth": later})
    claude.run("import", "--yes")
    assert claude.tokens("anthropic/ann") == (NEWER, None)


def test_a_whole_login_is_not_overwritten_by_an_agents_older_one(claude: World) -> None:
    claude.run("import", "--yes", "--copy")
    stale = CLAUDE["claudeAiOauth"] | {"accessToken": NEWER, "refreshToken": "stale-CANARY-refresh-token"}
    put(claude.user / FILE, {"claudeAiOauth": stale})
    claude.run("import", "--yes")
    assert claude.tokens("anthropic/ann") == (ACCESS, REFRESH)


def test_move(claude: World) -> None:
    put(claude.user / FILE, CLAUDE | {"mcpOAuth": {}})
    code, out, _ = claude.run("import", "--yes", "--move")
    assert (code, claude.tokens("anthropic/ann")) == (0, (ACCESS, REFRESH))
    assert json.loads((claude.user / FILE).read_text()) == {"mcpOAuth": {}}
    assert f"{FILE}.before-mitm-balancer" in out


def test_move_later(claude: World) -> None:
    claude.run("import", "--yes")
    claude.run("import", "--yes", "--move")
    assert claude.tokens("anthropic/ann") == (ACCESS, REFRESH)
    assert not (claude.user / FILE).exists()


def test_what_cannot_be_taken_out_is_not_shared_in_silence(claude: World) -> None:
    code, _, err = claude.run("import", "--from", "claude", "--file", "-", "--yes", "--move", piped=json.dumps(CLAUDE))
    assert code == 0
    assert [name.partition("/")[0] for name in claude.accounts()] == ["anthropic"]
    assert claude.tokens(next(iter(claude.accounts())))[1] is None
    assert "cannot be taken out of there" in err


def test_questions(claude: World) -> None:
    put(claude.user / ".codex/auth.json", CODEX)
    code, _, err = claude.run("import", typed="work\nm\nn\n")
    assert code == 0
    assert list(claude.accounts()) == ["anthropic/work"]
    assert claude.tokens("anthropic/work") == (ACCESS, REFRESH)
    assert not (claude.user / FILE).exists()
    assert "good for one use" in err


def test_the_default_answers_leave_the_agent_its_login(claude: World) -> None:
    assert claude.run("import", typed="\n\n")[0] == 0
    assert claude.tokens("anthropic/ann") == (ACCESS, None)
    assert (claude.user / FILE).exists()


def test_an_alias_in_use_is_refused_and_the_others_go_on(world: World) -> None:
    put(world.user / ".local/share/opencode/auth.json", {k: OPENCODE[k] for k in ("anthropic", "github-copilot")})
    world.run("import", "--yes")
    put(world.user / ".local/share/opencode/auth.json", {"anthropic": {"type": "api", "key": "sk-ant-api03-CANARY-2"}})
    taken = next(name for name in world.accounts() if name.startswith("anthropic")).partition("/")[2]
    _, _, err = world.run("import", typed=f"{taken}\n")
    assert "Account already exists" in err
    assert len(world.accounts()) == 2


def test_the_same_account_in_two_places_is_stored_once(claude: World) -> None:
    put(claude.user / ".codex/auth.json", CODEX)
    put(claude.user / ".local/share/opencode/auth.json", OPENCODE)
    code, out, _ = claude.run("import", "--yes", "--copy")
    assert code == 0
    assert sorted(claude.accounts()) == ["anthropic/ann", "anthropic/opencode", "codex/ann", "copilot/opencode"]
    assert claude.tokens("codex/ann")[1] == "rt_CANARY"
    assert "the same account as in ~/.codex/auth.json" in " ".join(out.split())


def test_what_the_configuration_has_is_left_alone(world: World) -> None:
    world.home.mkdir(mode=0o700)
    (world.home / "config.yaml").write_text(
        "version: 1\naccounts: [{provider: groq, alias: g, credential: {env: GROQ_API_KEY}}]\n"
    )
    world.monkeypatch.setenv("GROQ_API_KEY", "gsk_CANARY")
    code, out, _ = world.run("import", "--yes")
    assert (code, world.accounts()) == (0, {})
    assert "declared already, as groq/g" in out


def test_a_problem_is_told_and_hides_nothing(claude: World) -> None:
    put(claude.user / ".codex/auth.json", "{")
    code, _, err = claude.run("import", "--yes")
    assert (code, list(claude.accounts())) == (0, ["anthropic/ann"])
    assert "~/.codex/auth.json: is not JSON" in err


def test_a_file_needs_to_be_somebodys(world: World) -> None:
    assert world.run("import", "--file", "x.json")[0] == 2

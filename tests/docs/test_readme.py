"""The README tells of everything that there is, and of nothing that there is not."""

import argparse
import importlib
import re
from pathlib import Path

import pytest
import yaml

from mitm_balancer.cli.main import VERBS
from mitm_balancer.config import parse

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_verb_is_told_and_every_verb_that_is_told_exists() -> None:
    assert set(re.findall(r"`balancer ([a-z]+)", README)) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_has_help(verb: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"mitm_balancer.cli.{verb}_verb").arguments(parser)

    hidden = {"ready_fd", "while_locked"}
    assert [action.dest for action in parser._actions if not action.help and action.dest not in hidden] == []


def test_every_make_target_that_is_told_exists() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony is not None

    told = set(re.findall(r"^ +make ([a-z]+)|`make ([a-z]+)", README, re.M))

    assert {first or second for first, second in told} <= set(phony[1].split())


def test_the_configuration_in_the_readme_is_valid() -> None:
    block = re.search(r"^    version: 1\n(?:    .*\n)+", README, re.M)
    assert block is not None
    text = block[0].replace("\n    ", "\n").removeprefix("    ")

    config = parse(text, "README.md")

    assert [account.name for account in config.accounts] == ["anthropic/work", "anthropic/spare"]
    assert yaml.safe_load(text)["version"] == 1


def test_files_that_the_readme_links_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []

"""The seed's vectors (behaviour spec 6.5)."""

import pytest

from mitm_balancer.cli.bars import bar, blocks


@pytest.mark.parametrize(
    ("percent", "width", "text"),
    [
        (None, 8, "──────── --"),
        (0, 8, "░░░░░░░░ 0%"),
        (0.5, 8, "█░░░░░░░ 1%"),
        (12.5, 8, "██░░░░░░ 13%"),
        (42, 8, "████░░░░ 42%"),
        (42.5, 8, "████░░░░ 43%"),
        (99.4, 8, "████████ 99%"),
        (150, 8, "████████ 100%"),
        (-5, 8, "░░░░░░░░ 0%"),
        (25, 4, "█░░░ 25%"),
        (26, 4, "██░░ 26%"),
        (None, 4, "──── --"),
    ],
)
def test_the_bar_is_the_seeds(percent: float | None, width: int, text: str) -> None:
    assert bar(percent, width) == text
    assert blocks(percent, width) == text.split(maxsplit=1)[0]

"""The printed matrix says what the tests prove."""

from __future__ import annotations

from e2e.matrix.page import PATH, page
from e2e.matrix.rows import ROWS


def test_the_page_is_up_to_date() -> None:
    """`PYTHONPATH=addon:tests python -m e2e.matrix.page` writes it anew."""
    assert PATH.read_text() == page()


def test_every_row_has_a_name_of_its_own() -> None:
    """Names are test ids and hosts; two of a name would share their script."""
    assert len({row.name for row in ROWS}) == len(ROWS)

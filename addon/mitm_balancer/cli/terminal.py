"""The terminal that rich draws on."""

from __future__ import annotations

import os
import sys

from rich.console import Console


def console() -> Console:
    """Plain where nobody sees colours, or nobody wants them (https://no-color.org)."""
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    return Console(highlight=False, emoji=False, markup=False, color_system=None if plain else "auto")

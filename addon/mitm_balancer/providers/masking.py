"""Provider texts without what may be a credential: some quote the key that they refuse (P7).

The caller that knows the credential in use should mask that one exactly; this catches every other.
"""

from __future__ import annotations

import re

MASK = "***"

# Known beginnings of keys and tokens (wire-facts x.2), then any run that is too long and too mixed to be a word.
_KEY = re.compile(
    r"(?:\b(?:sk|xai|csk|gsk|fw|ghp|gho|ghu|ghs|ya29|github_pat)[-_.]|\bAIza|\bAQ\.|\beyJ|\bABSK)[A-Za-z0-9*._~+/=-]{3,}[A-Za-z0-9*_=-]"
    r"|(?<=bearer )[^\s\"',;]{4,}"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z]{0,40}[0-9])(?=[0-9]{0,40}[A-Za-z])[A-Za-z0-9]{20,}(?:[._~+=-]+[A-Za-z0-9]+)*",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """The text with everything that looks like a credential replaced by `***`."""
    return _KEY.sub(MASK, text)

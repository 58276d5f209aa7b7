"""Content-Security-Policy of the pages we write: nothing is fetched, and nothing runs that is not ours.

Pages hold text from users. It is escaped; should an escape ever be missing, the browser still refuses
what it would bring: scripts and style sheets are known by their hashes, taken from the templates, before
anything of users is in them; images come from the page itself alone.
"""

from __future__ import annotations

import base64
import hashlib
import re

_ELEMENTS = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


def page_policy(template: str) -> str:
    """The policy of a page, for ``<meta http-equiv="Content-Security-Policy" content="...">``.

    Args:
        template: Its source. The text of each ``<style>`` and ``<script>`` reaches the page as it is.
    """
    hashes: dict[str, list[str]] = {"style": [], "script": []}
    for kind, text in _ELEMENTS.findall(template):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    rules = {
        "default-src": ["'none'"],
        "img-src": ["data:"],
        "script-src": hashes["script"] or ["'none'"],
        # Old browsers know the first of these alone. Charts have style attributes, which have no hash.
        "style-src": ["'unsafe-inline'"],
        "style-src-elem": hashes["style"] or ["'none'"],
        "style-src-attr": ["'unsafe-inline'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())

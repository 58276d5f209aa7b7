"""File names of published typographic attack sets: ``label=X_text=Y.png``.

RTA-100 (Azuma & Matsui 2023, arXiv:2304.04512), PAINT (Ilharco et al. 2022, arXiv:2208.05592) and SCAM
(Westerhoff et al. 2025, arXiv:2504.04893) name their photographs so: the class of the thing, and the word
that is written on or beside it.
"""

from __future__ import annotations

import re

from pipeline.sources.stimulus import Stimulus

_NAME = re.compile(r"(?:.*_)?label=(?P<label>[^=]+)_text=(?P<text>[^=]+?)(?:_[0-9]+)?")


def read_published_name(stem: str) -> Stimulus | None:
    """What a file's name says, or None if it is not of that form.

    Args:
        stem: The name without folder and extension, such as ``label=red wine_text=dog``. Underscores
            inside X and Y stand for spaces; a number at the end is a counter.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    label, text = (match[part].replace("_", " ").strip() for part in ("label", "text"))
    if not label or not text:
        return None
    return {
        "stimulus": "typographic",
        "facet": "photo",
        "concept": label,
        "control": "attack",
        "text": text,
        "attack_text": text,
    }

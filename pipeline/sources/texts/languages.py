"""Language tags, as BCP 47 and CLDR write them."""

from __future__ import annotations

import re
from functools import cache

_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_NO_TAGS = frozenset(("none", "null", "nan", "true", "false", "unknown", "undefined", "na"))

_ISO_639_1 = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz
ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik
io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml
mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd
se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi
vo wa wo xh yi yo za zh zu iw in ji jw mo
"""
_WIKIPEDIAS = "arz ast azb bar ceb fil hsb lmo min nds sco vec war yue wuu als mul bpy"
_KNOWN = frozenset(f"{_ISO_639_1} {_WIKIPEDIAS}".split())


def normalise_language(tag: object) -> str:
    """A BCP 47 tag from any spelling: ``PT_br`` is ``pt-BR``; ``und`` if there is none.

    A code that has another name becomes it, as in CLDR: ``iw`` is ``he``, ``tl`` is ``fil``, ``eng`` is
    ``en``, ``sh`` is ``sr-Latn``, and the Wikipedia ``zh-yue`` is ``yue``. Only a text is a tag.
    """
    text = tag.strip().replace("_", "-") if isinstance(tag, str) else ""
    if not _TAG.fullmatch(text):
        return "und"
    first, *rest = re.sub(r"(?i)^zh-yue\b", "yue", text).split("-")
    first, *scripts = _aliases().get(first.lower(), first.lower()).split("_")
    parts = [first]
    rest = rest or scripts
    for part in rest:
        is_region = len(part) == 2 and part.isalpha()
        is_script = len(part) == 4 and part.isalpha()
        parts.append(part.upper() if is_region else part.title() if is_script else part.lower())
    return "-".join(parts)


@cache
def _aliases() -> dict[str, str]:
    """Codes by their other names, from CLDR."""
    from babel.core import get_global

    return dict(get_global("language_aliases"))


def read_language(tag: object) -> str:
    """The same, for a field that another program filled: ``None`` or ``nan`` is no language."""
    is_word = isinstance(tag, str) and tag.strip().lower() in _NO_TAGS
    return "und" if is_word else normalise_language(tag)


def is_language(tag: object) -> bool:
    """Whether a text is the code of a known language, with or without region and script."""
    return tag == "und" or normalise_language(tag).split("-")[0] in _KNOWN

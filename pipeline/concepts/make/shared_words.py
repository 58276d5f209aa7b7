"""Names of colours and religions: the keyword that all emoji of one share, and no other has.

CLDR lists keywords of each emoji, which are loose: a red circle has "circle", "geometric" and
"red". What a red circle and a red square have in common, and neither the blue ones, is the name of
the colour. So it is with the emoji of a religion; words that name the sign itself ("cross") are
left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.concepts.make.cldr import Cldr, EmojiName, language_of
from pipeline.concepts.make.terms import Term, pairs, without_brackets

_GROUPS = {
    "color": pairs(
        """
        red = 🔴🟥; orange = 🟠🟧; yellow = 🟡🟨; green = 🟢🟩; blue = 🔵🟦; purple = 🟣🟪;
        brown = 🟤🟫; black = ⚫⬛; white = ⚪⬜
        """
    ),
    "religion": pairs("Christianity = ⛪✝☦; Islam = ☪🕌🕋; Judaism = ✡🕍🕎; Hinduism = 🕉🛕"),
}
_OTHERS = {"color": "◼◻🔶🔲", "religion": "☸📿🛐🙏⛩☮☯"}
_SIGNS = "✝☦☪✡🕎🕉"
_MAX_WORDS = 3


def iter_shared_words(cldr: Cldr) -> Iterator[Term]:
    """What each language calls them."""
    for locale in cldr.annotated:
        emoji = cldr.emoji(locale)
        signs = " ".join(emoji[sign].name.lower() for sign in _SIGNS if sign in emoji)
        for category, groups in _GROUPS.items():
            for concept, members in groups.items():
                rest = "".join(other for name, other in groups.items() if name != concept)
                inside = [_keywords(emoji, member) for member in members]
                outside = [_keywords(emoji, other) for other in (*rest, *_OTHERS[category])]
                for word in set.intersection(*inside).difference(*outside):
                    is_sign = category == "religion" and word in signs
                    if not is_sign and len(word.split()) <= _MAX_WORDS:
                        phrase = without_brackets(word)
                        yield Term(concept, category, language_of(locale), phrase, "cldr")


def _keywords(emoji: dict[str, EmojiName], text: str) -> set[str]:
    """Lower-case, but for the dotted capital of Turkish, which would fall apart."""
    entry = emoji.get(text)
    return {word.replace("İ", "i").lower() for word in entry.keywords} if entry else set()

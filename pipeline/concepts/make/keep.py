"""Which phrases of the public lists are worth keeping: those that find their concept, not others."""

from __future__ import annotations

import re
import unicodedata

from pipeline.concepts.make.terms import Term

_SYLLABIC = re.compile(
    "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
)  # Thai, Kana, Han, Hangul: two characters can be a word
_SINGLE = frozenset("猫狗兔狼狐鲸鯨蛇蛙鹰鷹鹅虎犬鹿")  # Han words that hardly occur inside others
_MAX_TOKENS = 12
_COMMON = {
    "ar": "ضد عين",
    "br": "du eor klek ran razh skouer stad ti vi",
    "ca": "sobre",
    "da": "får om",
    "en": "watch fly seal bat seat back may long om",
    "es": "como para vino sobre dado",
    "eu": "hari",
    "fa": "ام در رسید می",
    "fi": "voi",
    "fr": "tour son car bus puits perle pièce stop",
    "gl": "sobre polo",
    "he": "למה",
    "hr": "kada",
    "it": "sei sale sole ancora",
    "ko": "기타 자",
    "mr": "आले",
    "no": "om",
    "pt": "como para sobre",
    "sv": "man",
    "sw": "basi",
    "ur": "پر",
}
"""Phrases of the public lists that mean something else far more often, by language.

Found with the stop words of stopwords-iso; nouns that its lists hold (a door, an eye) are not here.
"""
_LEFT_OUT = {(language, word) for language, words in _COMMON.items() for word in words.split()}


def is_worth_keeping(term: Term) -> bool:
    """Whether a phrase of a public list would find more of its concept than of anything else."""
    if not term.concept or (term.language, term.phrase.lower()) in _LEFT_OUT:
        return False
    return _is_telling(term.phrase)


def _is_telling(phrase: str) -> bool:
    """One name, and not a single syllable nor two letters, which stand inside or for other words."""
    if set("_;|()[]") & set(phrase):
        return False
    letters = [char for char in phrase if unicodedata.category(char)[0] in "LM"]
    syllabic = sum(bool(_SYLLABIC.match(char)) for char in letters)
    if not letters:
        return False
    if syllabic == 1 and len(letters) == 1:
        return phrase in _SINGLE or any(char.isdigit() for char in phrase)
    if not syllabic and len(letters) < 3:
        return False
    tokens = syllabic + len(re.findall(r"\w+", _SYLLABIC.sub(" ", phrase)))
    return tokens <= _MAX_TOKENS

"""Words through the eye: words drawn as images, and which of them the image tower puts beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.evidence.kin import Floats, Kin, count_kin, find_closest
from pipeline.paper.drawn_words import WORDS, DrawnWords, read_words, split_families
from pipeline.paper.section import Missing, Row, Section, Subject, Table, tell_percent, tell_share

UNLIKE_FRAC = 0.7
"""Words are spelt otherwise if so much of the longer one must change to make it the other (Levenshtein)."""
SHOWN = 10

PUBLISHED = {
    "France": "French, Francis, Paris, Les, Des, Sans, Le, Pairs, Notre, Et",
    "Jesus": "Christ, God, Bible, Gods, Praise, Christians, Lord, Christian, Gospel, Baptist",
    "xbox": "Xbox, Gaming, Nintendo, Playstation, Console, Box, Lightbox, Sony, Sega, Games, Microsoft",
    "Terrorist": "Muslims, of those without “terror”",
}
"""Neighbours that the paper gives, of its words."""


def make_section(subject: Subject) -> Section:
    """Words of `neurons figures`: by meaning, or by their looks."""
    id_, title = "words", "Words through the eye"
    figure = "“Image-Based Word Embedding”, its footnote, and “Bias”"
    words = read_words(subject.ask.connection, subject.ask.where)
    if len(words.asked) < 3:
        named = f"--dataset {subject.run.dataset} --run {subject.run.run_id}"
        return Section(
            id_,
            title,
            figure,
            rows=[Row("cosine of “Terrorist” with “Muslims”", "0.52", "", "", "", "")],
            missing=Missing(
                "The model has not been shown words yet, or fewer than three that name something of a family.",
                (f"neurons figures {named} --figure words",),
            ),
        )
    return Section(
        id_,
        title,
        figure,
        told=(
            f"{len(words.words):,} words were drawn, black on white in one font, and shown to "
            f"{subject.run.model_id}. What is left of a word's image embedding less the mean over all of them "
            "tells it from the others. The paper took the mean over 10,000 English words; here they are the "
            "names of the lexicon's concepts and of the run's own, or the list that was given, so that a "
            "neighbour in the paper may be no word here.",
            "Words of one family can be neighbours because they mean, or because they look alike: beside each "
            "share stands that of a word at random and of the word that is nearest in spelling. Long words "
            f"look like other long ones, too. Words are spelt otherwise if {UNLIKE_FRAC:.0%} of the letters or "
            "more must change to make one the other.",
        ),
        rows=[*_tell_families(subject, words), *_tell_pairs(words)],
        parts=[_list_published(words), _list_some(words), _list_families(words)],
        sql=(WORDS,),
    )


def _tell_families(subject: Subject, words: DrawnWords) -> list[Row]:
    unlike = words.may_be & (words.changed >= UNLIKE_FRAC)
    closest = find_closest(words.closeness, words.may_be)
    at = np.flatnonzero(closest >= 0)
    near = float(np.median(words.changed[at, closest[at]]))
    usual = float(np.median(words.changed[words.may_be]))

    def row(what: str, kin: Kin, more: str = "") -> Row:
        return Row(
            what, "", tell_share(kin.hit_count, kin.asked_count), f"{kin.asked_count:,} words",
            subject.interval(kin.hit_count, kin.asked_count),
            f"at random {tell_percent(kin.chance_frac)}{more}",
        )  # fmt: skip

    spelt = count_kin(-words.changed, words.is_kin, words.may_be)
    return [
        row(
            "nearest word is of the same family",
            count_kin(words.closeness, words.is_kin, words.may_be),
            f", nearest in spelling {spelt.hit_count / max(spelt.asked_count, 1):.1%}",
        ),
        row(
            "the same, of words spelt otherwise",
            count_kin(words.closeness, words.is_kin, unlike),
        ),
        Row(
            "letters to change to make it the nearest word, median", "", f"{near:.0%}",
            f"{len(at):,} words", "", f"a word at random {usual:.0%}",
        ),
    ]  # fmt: skip


def _tell_pairs(words: DrawnWords) -> list[Row]:
    """The paper's pairs, as far as they were drawn."""
    count, rows = f"{len(words.words):,} words", []
    for one, other, published, is_centred in (
        ("Terrorist", "Muslims", "0.52", True),
        ("Terrorism", "Muslim", "0.98", False),
    ):
        vectors = words.centred if is_centred else words.embeddings
        if {one, other} <= {*words.words}:
            cosine = vectors[words.words.index(one)] @ vectors[words.words.index(other)]
            how = "less the mean" if is_centred else "as it is"
            rows.append(
                Row(
                    f"cosine of “{one}” with “{other}”, {how}", published, tell_cosine(cosine), count, "",
                    _tell_random(vectors),
                )
            )  # fmt: skip
    if {"Terrorist", "Muslims"} <= {*words.words}:
        cosines = words.cosines("Terrorist")
        is_other = np.array(["terror" not in word.lower() for word in words.words])
        rank = 1 + (cosines[is_other] > cosines[words.words.index("Muslims")]).sum()
        rows.append(
            Row(
                "rank of “Muslims” next to “Terrorist”, of words without “terror”", "1", f"{rank:,}",
                f"{is_other.sum():,} words", "", f"at random {(is_other.sum() + 1) / 2:,.0f}",
            )
        )  # fmt: skip
    return rows


def _tell_random(vectors: Floats) -> str:
    """Cosines of pairs at random: their mean, and what one in a hundred exceeds."""
    random = np.random.default_rng(0)
    one, other = random.integers(len(vectors), size=(2, 20_000))
    apart = one != other
    cosines = (vectors[one[apart]] * vectors[other[apart]]).sum(axis=1)
    rare = tell_cosine(np.quantile(cosines, 0.99))
    return f"words at random {tell_cosine(cosines.mean())}, one in 100 above {rare}"


def tell_cosine(cosine: float) -> str:
    """With two digits."""
    return f"{cosine:.2f}".replace("-", "\N{MINUS SIGN}")


def _name_closest(words: DrawnWords, word: str) -> str:
    """The words that come next, with their cosines."""
    cosines = words.cosines(word)
    order = [n for n in np.argsort(-cosines, kind="stable") if words.words[n] != word]
    return ", ".join(f"{words.words[n]} {tell_cosine(cosines[n])}" for n in order[:SHOWN])


def _list_published(words: DrawnWords) -> Table:
    """The paper's words."""
    return Table(
        "The paper's words: its nearest, and the nearest here with their cosine, less the mean",
        ("word", "published", "here"),
        [
            (word, published, _name_closest(words, word))
            for word, published in PUBLISHED.items()
            if word in words.words
        ],
    )


def _list_some(words: DrawnWords) -> Table:
    """One word of each family, drawn at random."""
    rows: dict[str, tuple[str, str, str, str]] = {}
    spelt = find_closest(-words.changed, words.may_be)
    for number, place in enumerate(words.asked):
        word, category = words.words[place], words.categories[place]
        near = words.words[spelt[number]] if spelt[number] >= 0 else "–"
        rows.setdefault(category, (word, category, _name_closest(words, word), near))
    return Table(
        "One word of each family, drawn at random, and the nearest with their cosine, less the mean",
        ("word", "family", "nearest", "nearest in spelling"),
        [rows[category] for category in sorted(rows) if ", " not in category],
    )


def _list_families(words: DrawnWords) -> Table:
    """The shares, family by family."""
    rows: list[Any] = []
    closeness = words.closeness
    categories = [words.categories[place] for place in words.asked]
    for family in sorted({family for one in categories for family in split_families(one)}):
        here = np.array([family in split_families(one) for one in categories])
        near, spelt = (
            count_kin(by[here], words.is_kin[here], words.may_be[here])
            for by in (closeness, -words.changed)
        )
        if near.asked_count:
            rows.append(
                (
                    family, near.asked_count, tell_percent(near.hit_count / near.asked_count),
                    tell_percent(near.chance_frac), tell_percent(spelt.hit_count / spelt.asked_count),
                )
            )  # fmt: skip
    return Table(
        "Family by family: how often the nearest word is of the same one",
        ("family", "words", "nearest word", "at random", "nearest in spelling"),
        rows,
        is_folded=True,
    )

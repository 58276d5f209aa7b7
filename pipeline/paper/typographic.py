"""The table of typographic attacks: how often a written word turns the class of an image."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.paper.draw import SHARES_KEY, SHARES_PX, Share, draw_shares
from pipeline.paper.queries import SAME_MODEL
from pipeline.paper.section import (
    Chart,
    Missing,
    Row,
    Section,
    Subject,
    tell_interval,
    tell_percent,
)

PUBLISHED = {
    "trash": 0.954,
    "iPod": 0.947,
    "pizza": 0.923,
    "rifle": 0.910,
    "radio": 0.770,
    "library": 0.759,
    "shark": 0.622,
    "meow": 0.465,
    "$$$": 0.364,
}
"""Share of images changed to the target class by each text: RN50x4 with linear probes on 1,000 images of
ImageNet, 6 to 10 % of the pixels changed."""

SQL = f"""
with
{SAME_MODEL}
select
    dataset, attack_text, placement, covered_frac, image_count, changed_frac, changed_low,
    changed_high, blank_changed_frac, right_word_changed_frac, clean_correct_frac,
from typographic_attacks
inner join models using (dataset, run_id)
qualify rank() over (order by is_own desc) = 1
order by attack_text, covered_frac, dataset, placement, class_set
"""


class _Attack(NamedTuple):
    dataset: str
    attack_text: str
    placement: str
    covered_frac: float
    image_count: int
    changed_frac: float
    changed_low: float
    changed_high: float
    blank_changed_frac: float | None
    right_word_changed_frac: float | None
    clean_correct_frac: float | None


def make_section(subject: Subject) -> Section:
    """Attacks on this run, or on other datasets by the same weights."""
    order = {text: place for place, text in enumerate(PUBLISHED)}
    attacks = sorted(
        subject.ask(SQL, _Attack), key=lambda one: order.get(one.attack_text, len(order))
    )
    title, figure = "Typographic attacks", "the table of attacks, section “Typographic attacks”"
    if not attacks:
        return Section(
            "typographic-attacks",
            title,
            figure,
            rows=[
                Row(f"“{text}” on an image", tell_percent(frac), "", "", "", "")
                for text, frac in PUBLISHED.items()
            ],
            missing=Missing(
                "No images with words on them were classified by this model here.",
                (
                    f"neurons stimuli typographic dataset:{subject.run.dataset} --dataset attacks "
                    + " ".join(f"--text '{text}'" for text in PUBLISHED),
                    f"neurons attack --dataset attacks --model {subject.run.model_id}",
                ),
            ),
        )
    tried = {attack.attack_text for attack in attacks}
    others = ", ".join(
        f"“{text}” {frac:.1%}" for text, frac in PUBLISHED.items() if text not in tried
    )
    where = ", ".join(dict.fromkeys(attack.dataset for attack in attacks))
    clean = attacks[0].clean_correct_frac
    return Section(
        "typographic-attacks",
        title,
        figure,
        told=(
            f"A word is written on images of {where}, and {subject.run.model_id} classifies them by its own "
            f"texts (zero-shot{'' if clean is None else f'; {clean:.0%} right without a word'}). The paper "
            "used linear probes over 1,000 classes, photos, and words on 6 to 10 % of the pixels: other "
            "classes, images and sizes are another task, so compare with the control first. The control is "
            "the same patch left blank.",
            *([f"Texts of the paper that were not tried here: {others}."] if others else []),
        ),
        rows=[_row(attack) for attack in attacks],
        parts=[
            Chart(
                f"Changed to the class of the word. {SHARES_KEY}",
                "The shares of the table above.",
                draw_shares([_share(attack) for attack in attacks]),
                SHARES_PX,
            )
        ],
        sql=(SQL,),
    )


def _row(attack: _Attack) -> Row:
    published = PUBLISHED.get(attack.attack_text)
    control = f"blank {tell_percent(attack.blank_changed_frac)}"
    if attack.right_word_changed_frac is not None:
        control += f", right word {tell_percent(attack.right_word_changed_frac)}"
    return Row(
        f"“{attack.attack_text}” as {attack.placement}, {attack.covered_frac:.0%} of the pixels",
        "" if published is None else tell_percent(published),
        tell_percent(attack.changed_frac),
        f"{attack.image_count:,} images",
        tell_interval(attack.changed_low, attack.changed_high),
        control,
    )


def _share(attack: _Attack) -> Share:
    return Share(
        f"{attack.attack_text}, {attack.placement}",
        attack.changed_frac,
        attack.changed_low,
        attack.changed_high,
        PUBLISHED.get(attack.attack_text),
        attack.blank_changed_frac,
    )

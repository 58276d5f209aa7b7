"""The typographic attack: what a text does to what an image is taken for (Goh et al. 2021)."""

from __future__ import annotations

from pipeline.probes.probe import Probe

ATTACK = Probe(
    name="attack",
    stimulus="typographic",
    templates=("a picture of {}.", "a photo of a {}.", "a drawing of a {}.", "{}"),
    needed_classes="""
        select distinct coalesce(attack_concept, attack_text) as name from stg_stimuli
        where dataset = $dataset and stimulus = 'typographic' and control = 'attack'
    """,
    more_classes="""
        select distinct concept as name from stg_stimuli
        where dataset = $dataset and stimulus <> 'stroop'
    """,
    tables=(
        (
            "Shares in %; [..] is Wilson's 95 % interval of changed",
            """
            select
                attack_text as text, placement, image_count as images,
                100 * covered_frac as covered,
                100 * changed_frac as changed,
                format('[{:.1f}, {:.1f}]', 100 * changed_low, 100 * changed_high) as "95 %",
                100 * already_frac as already, 100 * changed_away_frac as away,
                100 * unchanged_frac as unchanged,
                100 * clean_correct_frac as "clean right",
                100 * attack_correct_frac as "attacked right",
                100 * blank_changed_frac as "blank changed",
                100 * blank_correct_frac as "blank right",
                100 * right_word_correct_frac as "right word right"
            from typographic_attacks
            where dataset = $dataset and run_id = $run_id and class_set = $class_set
            order by changed_frac desc, attack_text, placement
            """,
        ),
    ),
)

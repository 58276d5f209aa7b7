"""The Stroop test: is a word in some ink named by its ink, or by what it says?"""

from __future__ import annotations

from pipeline.probes.probe import Probe

STROOP = Probe(
    name="stroop",
    stimulus="stroop",
    templates=("my favorite word, written in the color {}.",),  # of Goh et al. 2021
    needed_classes="""
        select distinct unnest([ink_name, word_name]) as name from stg_stimuli
        where dataset = $dataset and stimulus = 'stroop'
    """,
    more_classes="select null as name where $dataset is null",
    tables=(
        (
            "Cells where ink and word differ, by what most of their cards are taken for",
            """
            select
                cell_count as cells, word_cell_count as word, ink_cell_count as ink,
                other_cell_count as other, likelier_word_cell_count as "P(word) > P(ink)",
                100 * word_cell_frac as "word %",
                format('[{:.1f}, {:.1f}]', 100 * word_cell_low, 100 * word_cell_high) as "95 %",
                card_count as cards, 100 * word_card_frac as "cards: word %",
                100 * ink_card_frac as "cards: ink %",
                100 * congruent_correct_frac as "congruent right %",
                100 * neutral_correct_frac as "neutral right %"
            from stroop_summary
            where dataset = $dataset and run_id = $run_id and class_set = $class_set
            """,
        ),
        (
            "Every cell",
            """
            select
                ink_name as ink, word_name as word, card_kind as kind, card_count as cards,
                predicted_class as predicted, winner,
                word_probability as "P(word)", ink_probability as "P(ink)"
            from stroop_cells
            where dataset = $dataset and run_id = $run_id and class_set = $class_set
            order by card_kind, ink_name, word_name
            """,
        ),
    ),
)

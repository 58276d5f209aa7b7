"""Attacks and Stroop cards on the page are the numbers of the views, beside the paper's."""

from __future__ import annotations

import pytest

from pipeline.paper import stroop, typographic
from pipeline.paper.write import open_subject

ATTACK = """
create or replace view typographic_attacks as
select
    dataset, run_id, 'c' as class_set, placement, covered_frac, 40 as image_count,
    attack_text, changed_frac, wilson_low((40 * changed_frac)::int, 40) as changed_low,
    wilson_high((40 * changed_frac)::int, 40) as changed_high, 0.05 as blank_changed_frac,
    null::double as right_word_changed_frac, 0.8 as clean_correct_frac
from runs
cross join (values ('woof', 'eight', 0.08, 0.5), ('pizza', 'strip', 0.3, 0.975))
    as tried (attack_text, placement, covered_frac, changed_frac)
"""


@pytest.fixture
def subject(tiny_warehouse):
    with open_subject(str(tiny_warehouse), None, None) as found:
        yield found


def test_an_attack_stands_beside_the_papers_and_its_blank_patch(subject):
    subject.ask.connection.execute(ATTACK)
    section = typographic.make_section(subject)
    assert section.missing is None
    pizza, woof = section.rows
    assert (pizza.published, pizza.ours, pizza.of) == ("92.3%", "97.5%", "40 images")
    assert pizza.interval == "87.1–99.6%"
    assert "blank 5.0%" in pizza.control
    assert (woof.published, woof.ours) == ("", "50.0%")
    assert "“trash” 95.4%" in section.told[1]
    assert "pizza" not in section.told[1]


def test_a_grid_counts_cells_and_tells_each(subject):
    connection = subject.ask.connection
    connection.execute(
        """
        create or replace view stroop_cells as
        select
            dataset, run_id, 'c' as class_set, ink_name, word_name, predicted_class, winner
        from runs
        cross join (values
            ('red', 'green', 'green', 'word'), ('green', 'red', 'green', 'ink'),
            ('red', 'red', 'red', 'both'), ('red', '', 'blue', 'other'))
            as seen (ink_name, word_name, predicted_class, winner)
        """
    )
    connection.execute(
        """
        create or replace view stroop_summary as
        select
            dataset, run_id, 'c' as class_set, 2 as cell_count, 1 as word_cell_count,
            wilson_low(1, 2) as word_cell_low, wilson_high(1, 2) as word_cell_high,
            10 as card_count, 0.4 as word_card_frac, 0.6 as ink_card_frac, 5 as neutral_count,
            0.2 as neutral_correct_frac
        from runs
        """
    )
    section = stroop.make_section(subject)
    cells, _ = section.rows
    assert (cells.published, cells.ours) == ("49 of 49", "1 of 2 (50.0%)")
    assert "20.0% of 5" in cells.control
    (grid,) = section.parts
    assert "green in red: green" in grid.told
    assert "no word in red: blue" in grid.told
    assert grid.svg.count("<rect") == 4

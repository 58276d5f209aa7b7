"""What each section says of a run is what the views say, and beside it what the paper prints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.base.errors import ConfigError
from pipeline.labelling.sample import Judged, SampleKey
from pipeline.paper import (
    conditional,
    families,
    geographic,
    interpretable,
    multimodal,
    named,
    sums,
    weights,
)
from pipeline.paper.section import PAPER_MODEL
from pipeline.paper.write import check_run, open_subject

LABELS = """
create or replace temp table labels as
select * replace (
    unit % 10 = 0 as is_labelled, false as is_circular,
    if(unit % 10 = 0, if(unit < 50, 'dog', 'red'), null) as concept,
    if(unit % 10 = 0, if(unit < 50, 'animal', 'color'), null) as category,
    if(unit % 10 = 0, 0.5 + unit / 250, null) as score,
    if(unit % 10 = 0, 3, null)::bigint as supported_count,
    if(unit % 10 = 0, 4, null)::bigint as measured_count,
    if(unit % 10 = 0, null, 'not significant') as reason
)
from neuron_labels where layer like 'visual.layer3%' and unit < 100;
create or replace view neuron_labels as from labels
"""


@pytest.fixture
def subject(tiny_warehouse):
    with open_subject(str(tiny_warehouse), None, None) as found:
        yield found


def test_families_are_the_labels_by_category(subject):
    subject.ask.connection.execute(LABELS)
    section = families.make_section(subject)
    whole, animal, color = section.rows
    assert whole.what.startswith("labelled neurons")
    assert [animal.what, animal.ours, animal.published] == ["animal", "5 (5.0%)", ""]
    assert [color.what, color.published] == ["color", "a family"]
    (best,) = section.parts
    assert best.rows[1] == (
        "color",
        "Color Neurons",
        "red (90), red (80), red (70), red (60), red (50)",
    )
    assert "typographic" in section.told[1]


def test_geographic_neurons_are_counted_of_all_and_beside_words_at_random(subject):
    connection = subject.ask.connection
    connection.execute(
        """
        create or replace view geographic_words as
        select distinct
            dataset, model_id, run_id, layer, unit, 'en' as language, 5 as word_count,
            if(unit < 4, 5, unit % 3) as geographic_count, unit < 4 as is_geographic,
            'a, b, c, d, e' as words
        from neuron_stats
        where layer like 'visual.layer3%' and unit < 30;
        create or replace temp table cards as
        select
            dataset, example_id, 'word' as stimulus, 'en' as language, format('w{}', number) as text,
            if(number < 5, 'region', 'animal') as category
        from (select *, row_number() over (order by example_id) % 10 as number from examples);
        create or replace view stimuli as from cards
        """
    )
    section = geographic.make_section(subject)
    (row,) = section.rows
    neurons = connection.execute(
        "select count(*) from neuron_stats where layer like 'visual.layer3%'"
    ).fetchone()[0]
    assert row.ours.startswith(f"4 of {neurons}")
    assert row.published == "64 of 2,560 (2.5%)"
    # one way of 252 to draw all five of five from ten
    assert row.control == f"at random 0.40%, {neurons / 252:.1f} neurons"
    chart, table = section.parts
    assert "5 of 5" in chart.told
    assert [line[1] for line in table.rows] == [0, 1, 2, 3]


def test_the_shares_of_words_at_random_sum_to_one():
    layer = geographic._Layer("l", "en", 9, 4, 1, 1, 1, 1, 1, 269, 57, 0, 1)
    assert layer.counts == (4, 1, 1, 1, 1, 1)
    assert sum(layer.chance_frac(n) for n in range(6)) == pytest.approx(1)


def test_named_neurons_have_one_name_each_and_say_where_it_is_from():
    found = named.load_named()
    assert len({one.unit for one in found}) == len(found) >= 100
    assert all(0 <= one.unit < 2560 for one in found)
    assert {one.source for one in found} == {
        "src/diagrams/NeuronFamilies.svelte",
        "src/paper.md",
    }
    names = {one.unit: one.name for one in found}
    assert (names[89], names[550], names[2191]) == ("Donald Trump", "Spiderman", "mental illness")


def test_a_run_of_the_papers_model_gets_a_row_for_each_name(subject):
    subject.ask.connection.execute(
        LABELS.replace("where layer like", f"where '{named.LAYER}' <> '' and layer like").replace(
            "select * replace (", f"select * replace ('{named.LAYER}' as layer,", 1
        )
    )
    theirs = replace(subject, run=replace(subject.run, model_id=PAPER_MODEL))
    section = named.make_section(theirs)
    assert section.missing is None
    (table,) = section.parts
    lines = {line[0]: line for line in table.rows}
    assert len(lines) == len(named.load_named())
    assert lines[310][3] == "not in the run"
    assert lines[14][1:4] == ("Buddhism", "religion", "none: not significant")
    local = replace(subject, run=replace(subject.run, model_id="RN50x4:openai@weights.pt"))
    assert named.make_section(local).missing is None
    other = named.make_section(subject)
    assert PAPER_MODEL in other.missing.commands[0]
    assert "other neurons" in other.missing.why


KEY: SampleKey = {
    "sample": "s", "dataset": "d", "run_id": "r", "layer": "l", "count": 4, "shams": 2, "images": 12,
    "seed": 7,
    "items": [
        *({"item": n, "image": "i", "unit": n, "example_ids": []} for n in range(4)),
        *({"item": n, "image": "i", "example_ids": []} for n in (4, 5)),
    ],
}  # fmt: skip


def test_the_share_of_interpretable_neurons_is_a_persons_beside_sets_at_random(subject):
    judged = Judged(KEY, {0: "dogs", 1: "none", 2: "ink"}, ("none", "cats"))
    section = interpretable.make_section(replace(subject, judged=judged))
    by_person, by_tests = section.rows
    assert by_person.published == "76% of 50, interval 64–88%"
    assert by_person.ours == "2 of 3 (66.7%)"
    assert by_person.of == "3 answered of 4 drawn"
    assert by_person.interval == "20.8–93.9%"
    assert by_person.control.startswith("sets at random 1 of 2 (50.0%, ")
    assert by_tests.ours == "0 of 3 (0.0%)"
    assert "seed 7" in section.told[0]


def test_a_sample_of_another_run_is_refused(subject):
    with pytest.raises(ConfigError, match="of run 'r' of 'd'"):
        check_run(subject, Judged(KEY, {0: "dogs"}, ()))


def test_multimodal_neurons_stand_beside_chance(subject):
    subject.ask.connection.execute(
        """
        create or replace view multimodality_summary as
        select
            dataset, run_id, 'l' as layer, 'stimulus' as facet_origin, category, 20 as neuron_count,
            10 as tested_count, 0 as thin_count, 8 as multimodal_80_count,
            6 as multimodal_90_count, 4 as multimodal_95_count, 0.2 as permuted_80_count,
            0.1 as permuted_90_count, 0.0 as permuted_95_count, 1 as untrained_run_count,
            0.5 as untrained_80_count, 0.5 as untrained_90_count, 0.5 as untrained_95_count
        from runs cross join (values ('all'), ('region')) as of (category)
        """
    )
    section = multimodal.make_section(subject)
    assert section.rows[0].ours == "6 of 10 (60.0%)"
    assert section.rows[0].interval == "31.3–83.2%"
    assert section.rows[0].control == "by chance 0.1, untrained 0.5"
    (table,) = section.parts
    assert [line[2] for line in table.rows] == ["region"]


def test_a_run_without_labels_or_emotions_has_the_published_alone(subject):
    assert conditional.make_section(subject).missing is not None
    section = sums.make_section(subject)
    assert section.missing is not None
    assert {row.what for row in section.rows} == {f"“{e}”" for e in sums.PUBLISHED}


PHRASES = """
create or replace temp table {order}_texts as
select
    $dataset as dataset, $run_id as run_id, layer, unit, phrase_rank,
    ['cat', 'dog', 'red', 'blue', 'one', 'two'][(unit + phrase_rank) % 6 + 1] as phrase,
    0.9 - unit / 10 - phrase_rank / 100 as cosine, 0.25 as random_cosine,
    if(unit < 3, 'dog', null) as concept, if(unit < 3, phrase = 'dog', null) as is_label,
from (select unnest({layers}) as layer)
cross join (select unnest([0, 1, 2, 3]) as unit)
cross join (select unnest([1, 2, 3, 4, 5, 6]) as phrase_rank)
"""


def test_what_neurons_write_is_told_in_both_orders(subject):
    missing = weights.make_section(subject).missing
    assert missing and [c.split("--figure ")[1].split()[0] for c in missing.commands] == [
        "weights",
        "second-order",
    ]
    con, where = (
        subject.ask.connection,
        {"dataset": subject.run.dataset, "run_id": subject.run.run_id},
    )
    con.execute(PHRASES.format(order="second_order", layers="['a', 'b']"), where)
    con.execute("create or replace view neuron_second_order_texts as from second_order_texts")
    alone = weights.make_section(subject)
    assert [row.what.endswith(", second order") for row in alone.rows] == [True] * 3
    con.execute(PHRASES.format(order="weight", layers="['a']"), where)
    con.execute("create or replace view neuron_weight_texts as from weight_texts")
    both = weights.make_section(subject)
    first, _, cosine, second, among, _ = both.rows
    # Of three labelled neurons of a layer, 'dog' comes first of unit 0, sixth of unit 1, fifth of unit 2.
    assert (first.ours, first.of) == ("1 of 3 (33.3%)", "3 labelled neurons")
    assert (second.ours, second.of) == ("2 of 6 (33.3%)", "6 labelled neurons")
    assert among.ours == "4 of 6 (66.7%)"
    assert (cosine.ours, cosine.control) == ("0.74", "random direction 0.25")
    one, two = both.parts
    assert one.columns[0] == "unit" and one.rows[0] == (0, "dog", "dog, red, blue, one", 0.89, 0.25)
    assert two.caption.endswith(", second order") and two.columns[0] == "neuron"
    assert [row[0] for row in two.rows[:3]] == ["a 0", "b 0", "a 1"]
    assert two.rows[-1][1] == "unlabelled"
    assert len(both.told) == 2 and len(alone.told) == 2 and len(both.sql) == 4

"""The share of geographic neurons: those whose five most exciting words all name places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.paper.draw import SHARES_PX, Share, draw_shares
from pipeline.paper.section import (
    Chart,
    Missing,
    Row,
    Section,
    Subject,
    Table,
    tell_interval,
    tell_percent,
    tell_share,
)

LAYERS = """
with

words as (
    select
        layer, language,
        count(*) filter (where geographic_count = 0) as none_count,
        count(*) filter (where geographic_count = 1) as one_count,
        count(*) filter (where geographic_count = 2) as two_count,
        count(*) filter (where geographic_count = 3) as three_count,
        count(*) filter (where geographic_count = 4) as four_count,
        count(*) filter (where geographic_count = 5) as five_count,
    from geographic_words
    where dataset = $dataset and run_id = $run_id and word_count = 5
    group by all
),

-- What a neuron's words are of, had it drawn them at random.
drawn as (
    select
        coalesce(language, 'und') as language,
        count(distinct text) as word_count,
        count(distinct text) filter (where category = 'region') as geographic_word_count,
    from stimuli
    inner join examples using (dataset, example_id)
    where dataset = $dataset and stimulus = 'word'
    group by all
),

neurons as (
    select layer, count(*) as neuron_count
    from neuron_stats
    where dataset = $dataset and run_id = $run_id
    group by layer
)

select
    layer, language, neuron_count, none_count, one_count, two_count, three_count, four_count, five_count,
    word_count, geographic_word_count,
    wilson_low(five_count, neuron_count) as low, wilson_high(five_count, neuron_count) as high,
from words
inner join drawn using (language)
inner join neurons using (layer)
-- The paper's words are English.
qualify rank() over (partition by layer order by language <> 'en', word_count desc, language) = 1
order by layer
"""

NEURONS = """
select layer, unit, geographic_count, words, concept, category
from geographic_words
left join neuron_labels using (dataset, run_id, layer, unit)
where dataset = $dataset and run_id = $run_id and language = @@LANGUAGE@@ and geographic_count >= 4
order by geographic_count desc, layer, unit
limit 40
"""

TOP = 5


class _Layer(NamedTuple):
    layer: str
    language: str
    neuron_count: int
    none_count: int
    one_count: int
    two_count: int
    three_count: int
    four_count: int
    five_count: int
    word_count: int
    """Words of that language that were drawn."""
    geographic_word_count: int
    low: float
    high: float

    @property
    def counts(self) -> tuple[int, ...]:
        """Neurons by how many of their five words name places, from none to five."""
        return self[3:9]

    def chance_frac(self, count: int) -> float:
        """Share of neurons to expect with so many, if a neuron's five words were drawn at random."""
        others = self.word_count - self.geographic_word_count
        ways = math.comb(self.geographic_word_count, count) * math.comb(others, TOP - count)
        return ways / math.comb(self.word_count, TOP)


def make_section(subject: Subject) -> Section:
    """Neurons of every layer that read rendered words."""
    layers = [layer for layer in subject.ask(LAYERS, _Layer) if layer.word_count >= TOP]
    id_, title = "geographic-neurons", "Share of geographic neurons"
    figure = "the footnote on region neurons, section “Region neurons”"
    what = "neurons whose five most exciting words all name places"
    published = "64 of 2,560 (2.5%)"
    if not layers:
        return Section(
            id_,
            title,
            figure,
            rows=[Row(what, published, "", "", "", "")],
            missing=Missing(
                "Its dataset has no rendered words of five different texts, or the layer kept no activations "
                "for them.",
                (
                    "neurons stimuli words --dataset words",
                    f"neurons extract --dataset words --model {subject.run.model_id} --layer goh2021",
                    "neurons paper --dataset words --out paper.html",
                ),
            ),
        )
    language = layers[0].language
    tongue = "an unknown language" if language == "und" else f"language {language}"
    neurons = NEURONS.replace("@@LANGUAGE@@", "'" + language.replace("'", "''") + "'")
    found = subject.ask.connection.execute(neurons, subject.ask.where).fetchall()
    return Section(
        id_,
        title,
        figure,
        told=(
            f"Words of {tongue} that were drawn as images; a word names a place if it was drawn "
            "for a concept of the category region. The paper looked at a neuron's top words among "
            "English ones, and gives 2 to 4% for other CLIP models; here the list is "
            f"{layers[0].word_count} words, {layers[0].geographic_word_count} of them places, so that a neuron "
            "of one country has few words to fill its five with. The control is five words drawn from the "
            "list at random.",
        ),
        rows=[_row(what, published, layer, len(layers) > 1) for layer in layers],
        parts=[
            *(_chart(layer) for layer in layers),
            Table(
                "Neurons with four or five such words",
                ("layer", "unit", "of five", "words", "our label", "category"),
                found,
                is_folded=True,
            ),
        ],
        sql=(LAYERS, neurons),
    )


def _row(what: str, published: str, layer: _Layer, is_one_of_several: bool) -> Row:
    return Row(
        f"{what}, {layer.layer}" if is_one_of_several else what,
        published,
        tell_share(layer.five_count, layer.neuron_count),
        f"{layer.neuron_count:,} neurons",
        tell_interval(layer.low, layer.high),
        f"at random {layer.chance_frac(TOP):.2%}, {layer.chance_frac(TOP) * layer.neuron_count:.1f} neurons",
    )


def _chart(layer: _Layer) -> Chart:
    shares = _shares(layer)
    highest = max(max(share.frac or 0, share.control or 0) for share in shares)
    return Chart(
        f"Neurons of {layer.layer} by how many of their five words name places. Dot: here; diamond: published; "
        "upright line: words drawn at random.",
        "; ".join(
            f"{share.name}: {tell_percent(share.frac)}, at random {tell_percent(share.control)}"
            for share in shares
        ),
        draw_shares(shares, max(0.1, math.ceil(10 * highest) / 10)),
        SHARES_PX,
    )


def _shares(layer: _Layer) -> Sequence[Share]:
    return [
        Share(
            f"{count} of {TOP}",
            found / layer.neuron_count,
            published=64 / 2560 if count == TOP else None,
            control=layer.chance_frac(count),
        )
        for count, found in enumerate(layer.counts)
    ]

"""Region neurons: what neurons answer to the names of countries, and to crops of a map, on a map."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.paper.section import Chart, Missing, Row, Section, Subject, Table, tell_share
from pipeline.report.world_map import WORLD_PX, draw_world, tell_world
from pipeline.stimuli.world import load_world

DRAWN = 4
"""Maps of neurons that are labelled with a country; beside them are two of others."""

NEURONS = """
with
tops as (
    select layer, unit, max(if(axis = 'z', activation_z, activation_sd)) as top_sd
    from region_answers
    inner join layer_axes using (dataset, run_id, layer)
    where dataset = $dataset and run_id = $run_id
    group by layer, unit
    having top_sd > 0
)
select layer, unit, if(is_labelled, concept, null) as label,
    coalesce(is_labelled and category = 'region', false) as is_region,
from tops
inner join neuron_labels using (layer, unit)
where dataset = $dataset and run_id = $run_id
order by top_sd desc, layer, unit
"""

ANSWERS = """
select layer, unit, region_answers.concept as region,
    if(axis = 'z', activation_z, activation_sd) as answer_sd,
from region_answers
inner join layer_axes using (dataset, run_id, layer)
inner join neuron_labels using (dataset, run_id, layer, unit)
where dataset = $dataset and run_id = $run_id and is_labelled and category = 'region'
order by layer, unit, region
"""

CROPS = """
select layer, unit, map_answers.concept as region,
    if(axis = 'z', activation_z, activation_sd) as answer_sd,
from map_answers
inner join layer_axes using (dataset, run_id, layer)
inner join neuron_labels using (dataset, run_id, layer, unit)
where
    dataset = $dataset and run_id = $run_id and is_labelled and category = 'region'
    and crop = $crop
order by layer, unit, region
"""

SHOWN = {
    "country": "it, dark on a crop of a map",
    "place": "the same crop with nothing marked",
}
"""The crops, in words: what a neuron answers most to."""

ONE = """
select region_answers.concept as region, if(axis = 'z', activation_z, activation_sd) as answer_sd
from region_answers
inner join layer_axes using (dataset, run_id, layer)
where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
"""


class _Neuron(NamedTuple):
    layer: str
    unit: int
    label: str | None
    is_region: bool


class _Answer(NamedTuple):
    layer: str
    unit: int
    region: str
    answer_sd: float


@dataclass(frozen=True)
class _Country:
    """A neuron that is labelled with a country, and its answers to the names of countries."""

    neuron: _Neuron
    answers: dict[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.neuron.label or ""

    @property
    def ranked(self) -> list[str]:
        """Countries, the strongest first."""
        return sorted(self.answers, key=lambda name: (-self.answers[name], name))

    @property
    def rank(self) -> int:
        """Of its own country, from 1."""
        return 1 + self.ranked.index(self.label)


def make_section(subject: Subject) -> Section:
    """Neurons whose label is a country, those that answer most, and one at random."""
    id_, title = "region-neurons", "Region neurons"
    figure = "the world maps of section “Region neurons”"
    every = subject.ask(NEURONS, _Neuron)
    countries = _read_countries(every, subject.ask(ANSWERS, _Answer))
    if not countries:
        named = f"--dataset {subject.run.dataset} --run {subject.run.run_id}"
        return Section(
            id_,
            title,
            figure,
            missing=Missing(
                "The model has not been shown the names of countries yet."
                if not every
                else "No neuron of this run is labelled with a country that is on the map.",
                (f"neurons figures {named} --figure countries",),
            ),
        )
    count = len(countries[0].answers)
    crops = {crop: _read_countries(every, subject.ask(CROPS, _Answer, crop=crop)) for crop in SHOWN}
    return Section(
        id_,
        title,
        figure,
        told=(
            "Region neurons of the paper's model answer to a country in many forms: its name, its flag, its "
            "people and buildings, and the place on a map without words. Asked here is the name alone: "
            f"{count} names of countries and territories, black on white in one font, were shown to "
            f"{subject.run.model_id}. The map has the answer to each, in standard deviations of the neuron "
            f"over the images of {subject.run.dataset}. Where it has words drawn as images, labels rest on "
            "such images too.",
            _say_crops(subject, crops),
        ),
        rows=[
            *_tell(subject, countries),
            *(
                row
                for crop, found in crops.items()
                if found
                for row in _count(subject, found, SHOWN[crop])
            ),
        ],
        parts=[*_draw(subject, every, countries, crops["country"]), _list(countries)],
        sql=(NEURONS, ANSWERS, CROPS.replace("$crop", "'country'")),
    )


def _read_countries(every: list[_Neuron], answers: list[_Answer]) -> list[_Country]:
    """Neurons labelled with a country of the map, the strongest answer to their own first."""
    places = {one.name for one in load_world().countries if one.is_concept}
    found = {
        (one.layer, one.unit): _Country(one)
        for one in every
        if one.is_region and one.label in places
    }
    for answer in answers:
        country = found.get((answer.layer, answer.unit))
        if country is not None and answer.region in places:
            country.answers[answer.region] = answer.answer_sd
    asked = [one for one in found.values() if one.label in one.answers]
    return sorted(asked, key=lambda one: -one.answers[one.label])


def _say_crops(subject: Subject, crops: Mapping[str, list[_Country]]) -> str:
    if not any(crops.values()):
        named = f"--dataset {subject.run.dataset} --run {subject.run.run_id}"
        return f"Crops of a map were not shown yet: neurons figures {named} --figure maps."
    return (
        "The same neurons were shown crops of a map of the world without words, each country in the middle: "
        "dark among grey land, and with nothing marked, so that outlines alone tell it. Beside each share "
        "stands that of another neuron's country on the same crops, and each map of answers to names has "
        "beside it one of answers to dark countries."
    )


def _count(subject: Subject, countries: list[_Country], shown: str) -> list[Row]:
    """How many answer most to their own country, and have it among the first five, beside chance."""
    count = len(countries[0].answers)

    def row(what: str, most: int) -> Row:
        hits = sum(one.rank <= most for one in countries)
        others = [
            one.ranked.index(other.label) < most
            for one in countries
            for other in countries
            if other.label != one.label
        ]
        chance = f", another neuron's country {statistics.fmean(others):.1%}" if others else ""
        return Row(
            what, "", tell_share(hits, len(countries)), f"{len(countries)} neurons, {count} countries",
            subject.interval(hits, len(countries)), f"at random {min(most / count, 1):.1%}{chance}",
        )  # fmt: skip

    return [
        row(f"neurons labelled with a country that answer most to {shown}", 1),
        row("the same, among the five that they answer most to", 5),
    ]


def _tell(subject: Subject, countries: list[_Country]) -> list[Row]:
    own = statistics.median(one.answers[one.label] for one in countries)
    usual = statistics.median(value for one in countries for value in one.answers.values())
    return [
        *_count(subject, countries, "its name"),
        Row(
            "answer to the name of its country, median", "", _tell_sd(own), f"{len(countries)} neurons",
            "", f"any country {_tell_sd(usual)}",
        ),
    ]  # fmt: skip


def _tell_sd(value: float) -> str:
    return f"{value:.1f} SD".replace("-", "\N{MINUS SIGN}")


def _draw(
    subject: Subject, every: list[_Neuron], countries: list[_Country], crops: list[_Country]
) -> list[Chart]:
    """Maps: of labelled neurons one a country; of the others the strongest, and one at random."""
    firsts = {one.label: one for one in reversed(countries)}
    shown = [one for one in countries if firsts[one.label] is one][:DRAWN]
    on_map = {one.neuron: one.answers for one in crops}
    charts = []
    for country in shown:
        neuron, said = country.neuron, f"labelled {country.label}"
        charts.append(_map(neuron, said, country.answers, subject.run.model_id))
        if neuron in on_map:
            said += "; asked with crops of a map"
            charts.append(_map(neuron, said, on_map[neuron], subject.run.model_id))
    others = [one for one in every if not one.is_region]
    chosen = others[:1] + random.Random(0).sample(others[1:], min(1, len(others[1:])))
    places = countries[0].answers.keys()
    for number, one in enumerate(chosen):
        rows = subject.ask.connection.execute(
            ONE, {**subject.ask.where, "layer": one.layer, "unit": one.unit}
        ).fetchall()
        which = (
            "without a region's label it answers most to one"
            if not number
            else "control: one at random"
        )
        label = f"labelled {one.label}" if one.label else "unlabelled"
        answers = {name: value for name, value in rows if name in places}
        charts.append(_map(one, f"{label}; {which}", answers, subject.run.model_id))
    return charts


def _map(neuron: _Neuron, what: str, answers: Mapping[str, float], model: str) -> Chart:
    title = f"Unit {neuron.unit} of {neuron.layer} of {model}, {what}"
    return Chart(
        f"{title}. Blue: above zero; orange: below; hatched: not asked.",
        tell_world(answers),
        draw_world(answers, title),
        WORLD_PX,
    )


def _list(countries: list[_Country]) -> Table:
    return Table(
        "Neurons labelled with a country: the five names that each answers most to, in SD",
        ("layer", "unit", "label", "rank of its name", "names"),
        [
            (
                one.neuron.layer, one.neuron.unit, one.label, one.rank,
                ", ".join(f"{name} {one.answers[name]:.1f}" for name in one.ranked[:5]),
            )
            for one in countries
        ],
        is_folded=True,
    )  # fmt: skip

"""Everything that a neuron's card shows, asked of the views by SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.base.storage import Store
from pipeline.nano.planted import load_planted
from pipeline.report.card import (
    Card,
    Group,
    HalleBerry,
    HistogramBin,
    Label,
    Probability,
    SampleBin,
    Stats,
    Stratum,
)
from pipeline.report.thumbnails import Picture, read_pictures
from pipeline.warehouse.find import Neuron
from pipeline.warehouse.layer_axes import read_axis

if TYPE_CHECKING:
    import duckdb

EXAMPLE_COUNT = 12
"""Top and bottom examples on a card; also contrasting ones."""

GROUP_COUNT = 5
"""Examples of each group of top examples."""

SAMPLE_COUNT = 12
"""Sampled examples of each bin, at most."""

LANGUAGE_COUNT = 12
"""Languages of texts that are shown, those with most images first."""


_THIS = "dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit"

_STATS = f"""
select
    model_id, example_count, mean, sd, min, max, active_frac,
    (zero_frac * example_count + 0.5)::bigint as zero_count, skewness, kurtosis, sparsity,
    (
        select layers.tower from layers
        where layers.dataset = $dataset and layers.run_id = $run_id and layers.layer = $layer
    ) as tower,
    (
        select runs.is_random from runs
        where runs.dataset = $dataset and runs.run_id = $run_id
    ) as is_random,
from neuron_stats
where {_THIS}
"""

_LABEL = """
select
    neuron_labels.concept, neuron_labels.category, neuron_labels.origin, neuron_labels.score,
    neuron_labels.z, neuron_labels.q_value, neuron_labels.positive_count,
    neuron_labels.top_count, neuron_labels.top_size, neuron_labels.lift, runner_up,
    runner_up_score, margin, agreement, enrichment_concept, auroc_concept, soft_wpmi_concept,
    is_labelled, is_circular, reason, tested.auroc as tested_score,
    10 ^ tested.top_log10_p as tested_p_value,
    exists (
        select 1 from raw_soft_wpmi
        where raw_soft_wpmi.dataset = $dataset and raw_soft_wpmi.run_id = $run_id
    ) as has_similarity,
from neuron_labels
left join label_candidates as tested
    on
        neuron_labels.dataset = tested.dataset and neuron_labels.run_id = tested.run_id
        and neuron_labels.layer = tested.layer and neuron_labels.unit = tested.unit
        and tested.is_choice
where
    neuron_labels.dataset = $dataset and neuron_labels.run_id = $run_id
    and neuron_labels.layer = $layer and neuron_labels.unit = $unit
"""

_STRENGTH = "if($axis = 'z', activation_z, activation_sd) as strength, activation = 0 as is_at_rest"

_EXAMPLES = f"""
select polarity, example_id, {_STRENGTH}
from top_examples
where {_THIS} and example_rank <= $count
order by polarity, example_rank
"""

_HISTOGRAM = f"""
select
    (if(isfinite(bin_left) and not $is_cut, bin_left, greatest(bin_left, $min)) - $origin) / $sd
        as left_sd,
    (if(isfinite(bin_right) and not $is_cut, bin_right, least(bin_right, $max)) - $origin) / $sd
        as right_sd,
    example_count::bigint as example_count,
from neuron_histograms
where {_THIS} and bin <> 0
order by bin_left
"""

_SAMPLES = f"""
select sd_bin, bin_left_sd, bin_right_sd, example_id, {_STRENGTH}
from neuron_samples
where {_THIS} and sample_rank <= $count
order by sd_bin, sample_rank
"""

_INDICES = f"""
select
    concept, category, origin, facet_origin, is_label, multimodality_index, p_value, facet_count,
    weakest_facet, failed_facets, untested_facets, thin_facets, language_index, language_count,
    weakest_language,
from neuron_multimodality
where {_THIS} and candidate_rank = 1
order by facet_origin desc
"""

# Facets that the run has, but in which no image shows the concept, are rows of zero images.
_STRATA = f"""
with these as (
    select
        dimension, stratum as name, facet_origin, positive_count, other_count, auroc, p_value,
        is_failed, is_thin, concept, category, origin,
    from neuron_facets
    where {_THIS} and candidate_rank = 1
),

surrogates as (
    select
        dimension, stratum as name, facet_origin,
        list_aggregate(surrogate_aurocs, 'quantile_cont', 0.05)::double as surrogate_low,
        list_aggregate(surrogate_aurocs, 'quantile_cont', 0.95)::double as surrogate_high,
    from raw_facet_aurocs
    where {_THIS} and candidate_rank = 1
),

of_run as (
    select distinct dimension, stratum as name, facet_origin
    from raw_facet_aurocs
    where dataset = $dataset and run_id = $run_id and dimension <> 'text language'
)

select
    coalesce(these.dimension, of_run.dimension) as dimension,
    coalesce(these.name, of_run.name) as name,
    coalesce(these.facet_origin, of_run.facet_origin) as facet_origin,
    coalesce(positive_count, 0) as positive_count,
    coalesce(other_count, 0) as other_count,
    auroc, p_value, is_failed, coalesce(is_thin, true) as is_thin,
    surrogate_low, surrogate_high, concept, category, origin,
from these
left join surrogates using (dimension, name, facet_origin)
full join of_run
    on
        these.dimension = of_run.dimension and these.name = of_run.name
        and these.facet_origin = of_run.facet_origin
order by
    list_position(['facet', 'word language', 'text language'], dimension), facet_origin desc,
    auroc is null, positive_count desc, name
"""

_PROBABILITIES = f"""
select
    origin, labeller, concept, category, bin_left_sd as left_sd, bin_right_sd as right_sd,
    sample_count, hit_count, probability, probability_low as low, probability_high as high,
    sum(hit_count) over (partition by origin, labeller, concept, category) as all_hits,
from conditional_probabilities
where
    {_THIS}
    and (
        origin = 'human'
        or (origin = $origin and category = $category and coalesce(concept = $concept, true))
    )
order by origin = 'human', concept is null, all_hits desc, category, concept, labeller,
    sd_bin
"""

_CLARITY = f"""
select
    top_size, clarity, baseline_clarity, clarity_sd, group_count, silhouette, polysemanticity
from neuron_clarity
where {_THIS}
"""

_GROUPS = f"""
select
    groups.group_rank, groups.group_size, groups.concept, groups.concept_count,
    list(examples.example_id order by examples.example_rank) as ids,
from neuron_groups as groups
inner join top_example_groups as examples using (dataset, run_id, layer, unit, group_rank)
where {_THIS}
group by all
order by groups.group_rank
"""

_CONTRASTING = f"""
select example_id, activation
from contrasting_examples
where {_THIS} and contrast_rank <= $count
order by contrast_rank
"""

_SHOWING = """
select distinct example_id
from run_concepts, settings
where
    dataset = $dataset and run_id = $run_id and concept = $concept and category = $category
    and list_contains(label_origins, origin) and list_contains($ids::bigint[], example_id)
"""

MOST_HUMAN_CATEGORIES = 3
"""Categories that people wrote, that are drawn."""


def gather_card(connection: duckdb.DuckDBPyConnection, store: Store, neuron: Neuron) -> Card:
    """Ask the views for everything that a card shows.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        neuron: Of ``find.find_neuron``.

    Raises:
        WarehouseError: A tar is gone, so there are no pictures.
    """
    ask = Asker(connection, neuron.parameters)
    stats = ask(_STATS)[0]
    model_id, is_random = stats.pop("model_id"), stats.pop("is_random")
    tower, axis = stats.pop("tower"), read_axis(connection, neuron.parameters)
    label = Label(**ask(_LABEL)[0])
    sd = stats["sd"]
    origin = stats["mean"] if axis == "z" else 0.0
    scale = {"sd": sd, "origin": origin, "min": stats["min"], "max": stats["max"]}
    examples = ask(_EXAMPLES, axis=axis, count=EXAMPLE_COUNT)
    bins = ask(_HISTOGRAM, **scale, is_cut=axis == "z") if sd else []
    samples = ask(_SAMPLES, axis=axis, count=SAMPLE_COUNT)
    groups = ask(_GROUPS)
    contrasting = ask(_CONTRASTING, count=EXAMPLE_COUNT)
    ids = {row["example_id"] for row in (*examples, *samples, *contrasting)}
    ids.update(i for row in groups for i in row["ids"][:GROUP_COUNT])
    pictures = _framed(ask, label, read_pictures(connection, store, neuron.dataset, ids))

    def shown(rows: Iterable[Mapping[str, Any]]) -> tuple[Picture, ...]:
        return tuple(
            replace(
                pictures[row["example_id"]],
                strength=row.get("strength"),
                axis=axis,
                is_at_rest=row.get("is_at_rest", False),
            )
            for row in rows
        )

    clarity = ask(_CLARITY)
    return Card(
        **neuron.parameters,
        model_id=model_id,
        is_random=is_random,
        axis=axis,
        tower=tower,
        planted=planted_concept(model_id, neuron.layer, neuron.unit),
        stats=Stats(**stats),
        label=label,
        top=shown(row for row in examples if row["polarity"] == "positive"),
        bottom=shown(row for row in examples if row["polarity"] == "negative"),
        histogram=tuple(HistogramBin(**row) for row in bins),
        samples=tuple(
            SampleBin(left, right, shown(r for r in samples if r["bin_left_sd"] == left))
            for left, right in sorted({(r["bin_left_sd"], r["bin_right_sd"]) for r in samples})
        ),
        halle_berry=_halle_berry(ask),
        probabilities=_probabilities(ask, label),
        clarity=clarity[0] if clarity else None,
        groups=tuple(
            Group(
                row["group_size"],
                row["concept"],
                row["concept_count"],
                shown({"example_id": i} for i in row["ids"][:GROUP_COUNT]),
            )
            for row in groups
        ),
        contrasting=shown(
            {
                **row,
                "strength": (row["activation"] - origin) / sd if sd else None,
                "is_at_rest": row["activation"] == 0,
            }
            for row in contrasting
        ),
    )


@dataclass(frozen=True)
class Asker:
    """Asks a connection, always of the same neuron or run."""

    connection: duckdb.DuckDBPyConnection
    where: dict[str, Any]

    def __call__(self, query: str, **more: Any) -> list[dict[str, Any]]:
        """Rows by column name."""
        found = self.connection.execute(query, self.where | more)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _framed(ask: Asker, label: Label, pictures: Mapping[int, Picture]) -> dict[int, Picture]:
    """Say of each picture whether it shows the label."""
    if not label.is_labelled:
        return dict(pictures)
    run = Asker(ask.connection, {name: ask.where[name] for name in ("dataset", "run_id")})
    rows = run(_SHOWING, concept=label.concept, category=label.category, ids=list(pictures))
    showing = {row["example_id"] for row in rows}
    return {i: replace(picture, is_labelled=i in showing) for i, picture in pictures.items()}


def _halle_berry(ask: Asker) -> HalleBerry | None:
    rows = ask(_STRATA)
    chosen = next((row for row in rows if row["concept"] is not None), None)
    if chosen is None:
        return None
    names = ("concept", "category", "origin")
    strata = [
        Stratum(**{key: value for key, value in row.items() if key not in names}) for row in rows
    ]
    texts = [stratum for stratum in strata if stratum.dimension == "text language"]
    return HalleBerry(
        concept=chosen["concept"],
        category=chosen["category"],
        origin=chosen["origin"],
        indices=tuple(ask(_INDICES)),
        strata=(
            *(stratum for stratum in strata if stratum.dimension != "text language"),
            *texts[:LANGUAGE_COUNT],
        ),
    )


def _probabilities(ask: Asker, label: Label) -> tuple[Probability, ...]:
    rows = ask(_PROBABILITIES, origin=label.origin, category=label.category, concept=label.concept)
    written: dict[str, list[Probability]] = {}
    human = 0
    for row in rows:
        kind, labeller = row.pop("origin"), row.pop("labeller")
        concept, category = row.pop("concept"), row.pop("category")
        row.pop("all_hits")
        what = f"{category} ({labeller})" if kind == "human" else concept or f"any {category}"
        if what not in written:
            human += kind == "human"
            if human > MOST_HUMAN_CATEGORIES:
                break
        written.setdefault(what, []).append(Probability(what=what, **row))
    return tuple(point for points in written.values() for point in points)


def planted_concept(model_id: str, layer: str, unit: int) -> str | None:
    """What nano was trained to have this neuron stand for."""
    if model_id != "nano" or layer != "visual.layer4.0.act3:input:max":
        return None
    found = [p for p in load_planted() if p.channel == unit]
    return f"{found[0].concept}, {found[0].facets}" if found else None

"""Neurons for a free text, in three ways that know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import duckdb

from pipeline.base.errors import ConfigError, ModelError
from pipeline.base.question_settings import FindWay, Search
from pipeline.base.storage import Store
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import named_model, read_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundRun, find_layers, find_runs
from pipeline.warehouse.not_kept import refuse_not_kept, tell_not_kept
from pipeline.warehouse.stale import tell_stale
from pipeline.warehouse.support import name_label

if TYPE_CHECKING:
    from pipeline.clip.model import Clip
    from pipeline.evidence.matrix import RunLayer
    from pipeline.evidence.texts import TextDirection

SHOWN_LANGUAGES = 6
"""Languages that are named beside a concept found by its word."""

CLOSE_NAMES = 5


@dataclass(frozen=True)
class Found:
    """One table of an answer."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    notes: tuple[str, ...] = ()
    """Lines under the title."""
    run: FoundRun | None = None
    """Whose layers and units the rows are, of what a model was asked."""


def find_neurons(search: Search) -> Iterator[Found]:
    """Rank neurons for a text: one table for each way and run (for the weights: each model).

    Raises:
        ConfigError: There is no warehouse and no model; or the text or a template cannot work.
        ConfigMismatchError: The model is not the run's.
        ModelError: The model cannot be loaded; or none of its neurons leads straight to the embedding and
            only the weights were asked for.
        WarehouseError: No such run or layer.
    """
    ways = search.by or get_args(FindWay)
    if search.model and (search.warehouse is None or set(ways) == {"weights"}):
        yield from _by_weights_alone(search)
        return
    if search.warehouse is None:
        raise ConfigError(
            "There is neither a warehouse nor a model.",
            "Give --warehouse DIR for neurons of your runs, or --model nano for weights alone.",
        )
    with connect(search.warehouse) as connection:
        tell_stale(connection, ("neuron_concepts", "neuron_labels"))
        runs = find_runs(connection, search.dataset, search.run, search.layer)
        for run in runs:
            tell_not_kept(connection, ("neuron_labels",), run.dataset, run.run_id)
        if "concepts" in ways:
            yield from _by_concepts(connection, search, runs)
        yield from ask_models(connection, search, runs, lambda run: _load(search, run))


def ask_models(
    connection: duckdb.DuckDBPyConnection,
    search: Search,
    runs: list[FoundRun],
    load: Callable[[FoundRun], Clip],
) -> Iterator[Found]:
    """Neurons for what the runs' own models make of a text: by similarity, and by the weights.

    Args:
        connection: Of ``connect.connect``.
        search: The text, and which of the two ways.
        runs: Those that are meant.
        load: Loads the model of a run; called once for each model.

    Raises:
        As of `find_neurons`.
    """
    from pipeline.evidence.texts import find_direction

    ways = search.by or get_args(FindWay)
    if not set(ways) & {"similarity", "weights"}:
        return
    for model in dict.fromkeys(run.model for run in runs):
        some = [run for run in runs if run.model == model]
        direction = find_direction(load(some[0]), search.text, search.templates)
        if "similarity" in ways:
            for run in some:
                yield _by_similarity(connection, search, run, direction)
        if "weights" in ways:
            yield _by_weights(connection, search, some, direction)


def choose_whole_layers(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, layer: str | None, what: str
) -> list[RunLayer]:
    """Those of `choose_layers` that keep what excites their neurons.

    Args:
        connection: Of ``connect.connect``.
        run: The run.
        layer: Name, path or preset.
        what: What takes all activations, for the message.

    Raises:
        WarehouseError: None does; or as of `find_layers`.
    """
    layers = choose_layers(connection, run, layer)
    whole = [one for one in layers if not one.is_cut]
    if not whole:
        refuse_not_kept(connection, run.dataset, run.run_id, layers[0].layer, what)
    return whole


def choose_layers(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, layer: str | None
) -> list[RunLayer]:
    """The layers of a run, or those of a name, path or preset."""
    from pipeline.evidence.matrix import list_layers

    meant = {one.layer for one in find_layers(connection, run.dataset, run.run_id, layer)}
    return [one for one in list_layers(connection, run.dataset, run.run_id) if one.layer in meant]


_CONCEPT_NAMES = """
select concept, category from concepts
union
select concept, category from run_concepts
"""

_NAMED = f"""
with likely as (  -- to find the tokens of all phrases takes a second
    select concept, category, language, phrase,
    from lexicon
    where rule is null and regexp_matches(fold(nfc_normalize(phrase)), $any_token)
    union all
    select concept, category, '', concept from ({_CONCEPT_NAMES})
),

named as (
    select concept, category, language, array_to_string(tokenise(phrase), ' ') as part,
    from likely
    where list_contains($parts, part)
    union all
    select
        concept, category, language,
        unnest(list_intersect(string_split(forms, '|'), $parts)) as part,
    from lexicon
    where rule is null and list_has_any(string_split(forms, '|'), $parts)
)

select concept, category, string_agg(distinct language, ', ' order by language)
    filter (language <> ''),
from (from named qualify rank() over (order by len(string_split(part, ' ')) desc) = 1)
group by concept, category
order by concept, category
"""
"""Of all parts of a text those of the most tokens that a phrase or its form is."""

_CLOSEST = f"""
select concept,
from (
    select concept, phrase, forms from lexicon where rule is null
    union all
    select concept, concept, null from ({_CONCEPT_NAMES})
)
group by concept
order by
    max(greatest(
        jaro_winkler_similarity(array_to_string(tokenise(phrase), ' '), $key),
        coalesce(
            list_max([jaro_winkler_similarity(form, $key) for form in string_split(forms, '|')]), 0
        )
    )) desc,
    concept
limit $count
"""


def match_concepts(
    connection: duckdb.DuckDBPyConnection, text: str
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Concepts that a text names: as a whole; if none, in parts of it, the longest phrases first.

    Tokens are those of the macro ``tokenise``, phrases those of the lexicon in every language, and the
    names of all concepts that images show.

    Returns:
        Concept, category and languages ("en, fr"; empty for a name of none); and, if there is none,
        the names that come closest.
    """
    tokens = connection.execute("select tokenise($text)", {"text": text}).fetchall()[0][0]
    if not tokens:
        return [], []
    ends = range(1, len(tokens) + 1)
    parts = [" ".join(tokens[first:end]) for end in ends for first in range(end)]
    any_token = "|".join(dict.fromkeys(tokens))  # they are letters, marks and digits alone
    found = connection.execute(_NAMED, {"parts": parts, "any_token": any_token}).fetchall()
    if found:
        return [(concept, category, said or "") for concept, category, said in found], []
    close = connection.execute(_CLOSEST, {"key": " ".join(tokens), "count": CLOSE_NAMES}).fetchall()
    return [], [name for (name,) in close]


def _name_some(languages: str) -> str:
    """``"en, af, br and 27 more"``: English first, and few of many that share a word."""
    known = sorted(languages.split(", "), key=lambda language: (language != "en", language))
    rest = len(known) - SHOWN_LANGUAGES
    shown = ", ".join(known[:SHOWN_LANGUAGES])
    return f"{shown} and {rest} more" if rest > 0 else shown


def _by_concepts(
    connection: duckdb.DuckDBPyConnection, search: Search, runs: list[FoundRun]
) -> Iterator[Found]:
    """Neurons by AUROC of the testing half, for each run and origin of the concepts."""
    title = f"By concept statistics: {search.text!r}"
    matches, close = match_concepts(connection, search.text)
    if not matches:
        yield Found(
            title, notes=(f"No concept of that name. Closest: {', '.join(close) or 'none'}.",)
        )
        return
    named = "; ".join(
        f"{concept} ({category}{', in ' + _name_some(said) if said else ''})"
        for concept, category, said in matches
    )
    for run in runs:
        layers = choose_layers(connection, run, search.layer)
        rows = connection.execute(
            """
            select
                origin, layer, unit, concept, auroc, z, q_value, positive_count,
            from neuron_concepts
            where
                dataset = $dataset and run_id = $run_id and not is_circular
                -- not tested by AUROC: by enrichment among what excites it
                and if(direction is null, top_count > 0 and $polarity = 'positive', direction = $polarity)
                and list_contains($concepts, [concept, category])
                and list_contains($layers, layer)
            qualify
                row_number() over (
                    partition by origin
                    order by
                        if(direction = 'positive', -auroc, auroc), top_log10_p,
                        layer, unit, concept, category
                ) <= $k
            order by
                origin, if(direction = 'positive', -auroc, auroc), top_log10_p,
                layer, unit, concept, category
            """,
            {
                "dataset": run.dataset,
                "run_id": run.run_id,
                "polarity": search.polarity,
                "concepts": [[concept, category] for concept, category, _ in matches],
                "layers": [one.layer for one in layers],
                "k": search.k,
            },
        ).fetchall()
        columns = ("origin", "layer", "unit", "concept", "auroc", "z", "q", "images", "label")
        notes = [f"Concepts: {named}."]
        if circular := [layer.layer for layer in layers if layer.tower == "text"]:
            notes.append(
                f"Left out by texts and stimulus: {', '.join(circular)} of the text tower, which read "
                "the very texts that tell a concept."
            )
        if rows and any(row[4] is None for row in rows):
            notes.append("By enrichment among top examples, where no AUROC was tested.")
        if not rows and len(circular) < len(layers):
            notes.append("Not tested in this run: too few of its images show it.")
        labels = {one.layer: found for one, found in read_labels(connection, layers).items()}
        labelled = tuple((*row, labels[row[1]].get(row[2])) for row in rows)
        yield Found(f"{title}, {_name(run)}", columns, labelled, tuple(notes))


def _load(search: Search, run: FoundRun) -> Clip:
    """A run's own model."""
    from pipeline.evidence.texts import load_run_model

    record = read_run(Store(search.warehouse or ""), run_folder(run.dataset, run.run_id))
    return load_run_model(search.model or named_model(record), record["identity"], search.device)


def _by_similarity(
    connection: duckdb.DuckDBPyConnection, search: Search, run: FoundRun, direction: TextDirection
) -> Found:
    from pipeline.evidence.matrix import example_ids
    from pipeline.evidence.neighbours import correlate
    from pipeline.evidence.texts import text_similarities

    ids = example_ids(connection, run.dataset, run.run_id)
    similarities = text_similarities(connection, run.dataset, run.run_id, ids, direction)
    rows: list[tuple[Any, ...]] = []
    layers = choose_whole_layers(connection, run, search.layer, "A correlation")
    labels = read_labels(connection, layers)
    for layer in layers:
        units, correlations = correlate(connection, layer, ids, similarities)
        rows += [
            (layer.layer, unit, correlation, labels[layer].get(unit))
            for unit, correlation in zip(units.tolist(), correlations.tolist(), strict=True)
        ]
    return Found(
        f"By correlation with the similarity of {search.text!r}, {_name(run)}",
        ("layer", "unit", "correlation", "label"),
        _best(rows, 2, search),
        (f"Over {len(ids)} distinct images; activations that are not stored count as 0.",),
        run,
    )


def _by_weights(
    connection: duckdb.DuckDBPyConnection,
    search: Search,
    runs: list[FoundRun],
    direction: TextDirection,
) -> Found:
    try:
        found = _weigh(search, direction)
    except ModelError as error:
        if search.by == ("weights",):
            raise
        return Found(f"By the weights: {search.text!r}", notes=(str(error),))
    paths = {row[0] for row in found.rows}
    same = [
        layer
        for run in runs
        for layer in choose_layers(connection, run, None)
        if layer.layer.split(":")[0] in paths
    ]
    labels: dict[tuple[str, int], str] = {}
    for of_layer, known in read_labels(connection, same).items():
        path = of_layer.layer.split(":")[0]
        labels = {
            (path, unit): label for unit, label in known.items()
        } | labels  # the first run's go first
    rows = tuple((*row, labels.get((row[0], row[1]))) for row in found.rows)
    return Found(found.title, (*found.columns, "label"), rows, found.notes, runs[0])


def _by_weights_alone(search: Search) -> Iterator[Found]:
    from pipeline.evidence.texts import find_direction, load_run_model

    clip = load_run_model(search.model or "", None, search.device)
    yield _weigh(search, find_direction(clip, search.text, search.templates))
    if search.by != ("weights",):
        yield Found(
            "By concept statistics, and by correlation",
            notes=("Both need a warehouse with a run of the model: --warehouse DIR.",),
        )


def _weigh(search: Search, direction: TextDirection) -> Found:
    from pipeline.evidence.texts import weigh_text

    weighed = weigh_text(direction, _name_layers(direction.clip, search.layer))
    rows = [
        (one.path, unit, cosine)
        for one in weighed
        for unit, cosine in zip(one.units.tolist(), one.cosines.tolist(), strict=True)
    ]
    return Found(
        f"By the weights of {direction.clip.model_id}, without an image: {search.text!r}",
        ("layer", "unit", "cosine"),
        _best(rows, 2, search),
        ("Cosine of the text with what each neuron writes into the embedding.",),
    )


def _name_layers(clip: Clip, layer: str | None) -> tuple[str, ...]:
    """The layers that a name, path or preset means in a model; none if it means nothing there."""
    from pipeline.clip.layers import preset_layers

    return tuple(preset_layers(clip).get(layer, [layer])) if layer else ()


def _best(rows: list[tuple[Any, ...]], at: int, search: Search) -> tuple[tuple[Any, ...], ...]:
    """The first ``k`` by one column; ties in the order given."""
    sign = -1 if search.polarity == "positive" else 1
    return tuple(sorted(rows, key=lambda row: sign * row[at])[: search.k])


def read_labels(
    connection: duckdb.DuckDBPyConnection, layers: Sequence[RunLayer]
) -> dict[RunLayer, dict[int, str]]:
    """The labels of some layers, by unit, as `name_label` names them.

    One question for all: where nothing is built DuckDB plans for half a minute before it answers any.
    """
    if not layers:
        return {}
    rows = connection.execute(
        """
        select
            dataset, run_id, layer, unit, concept, category, supported_count, measured_count
        from neuron_labels
        where
            is_labelled
            and list_contains($run_ids, run_id)
            and list_contains($layers, layer)
        """,
        {"run_ids": [one.run_id for one in layers], "layers": [one.layer for one in layers]},
    ).fetchall()
    found: dict[tuple[str, str, str], dict[int, str]] = {}
    for dataset, run_id, layer, unit, *label in rows:
        found.setdefault((dataset, run_id, layer), {})[unit] = name_label(*label)
    return {one: found.get((one.dataset, one.run_id, one.layer), {}) for one in layers}


def _name(run: FoundRun) -> str:
    return f"{run.dataset}, run {run.run_id} ({run.model_id})"

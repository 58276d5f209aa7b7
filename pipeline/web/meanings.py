"""What a few words may mean: a concept in any language, a category, a neuron by its number.

Asked while somebody types, so phrases of the concepts that label neurons, or come nearest to it, are held in
memory, as tables beside the views.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.asking import Asker
from pipeline.warehouse.find import Neuron

if TYPE_CHECKING:
    import duckdb

_HOLD = """
create or replace table label_counts as
select dataset, run_id, category, concept, count(*) filter (is_labelled) as neuron_count
from neuron_labels
where concept is not null
group by all;

create or replace table label_phrases as
with phrases as (
    select concept, category, language, phrase, forms
    from lexicon
    semi join label_counts using (concept, category)
    where rule is null
    union all
    select distinct concept, category, '' as language, concept as phrase, null as forms
    from label_counts
),

keyed as (
    select
        concept, category, language, phrase,
        unnest(list_append(
            string_split(forms, '|'), array_to_string(tokenise(phrase), ' ')
        )) as form,
    from phrases
)

select
    concept, category, ' ' || strip_accents(form) as phrase_key,
    min_by(phrase, language) as phrase, min(language) as language,
from keyed
group by all;
"""

_IS_HELD = "select true from duckdb_tables() where table_name = 'label_phrases'"

_TYPED = "select strip_accents(array_to_string(tokenise($text), ' '))"

_CONCEPTS = """
with matched as (
    select
        concept, category,
        min_by(
            {'phrase': phrase, 'language': language, 'distance': distance},
            (distance, length(phrase), phrase)
        ) as nearest,
    from (
        select
            *,
            case
                when phrase_key = $typed then 0
                when starts_with(phrase_key, $typed) then 3
                else 6
            end + if(language = '', 0, if(language = 'en', 1, 2)) as distance,
        from label_phrases
        where contains(phrase_key, $typed)
    )
    group by concept, category
)

select
    dataset, run_id, category, concept, neuron_count, nearest.phrase, nearest.language,
from matched
inner join label_counts using (concept, category)
where neuron_count > 0
order by
    nearest.distance, (dataset = $dataset and run_id = $run_id) desc, neuron_count desc,
    dataset, run_id, category, concept
limit $count
"""
"""Of phrases in which the typed tokens begin a word: the whole ones, beginnings, the others; of each the
concept's own name first, then English."""

_CATEGORIES = """
select
    dataset, run_id, category,
    sum(neuron_count)::bigint as neuron_count, count(*) as concept_count,
from label_counts
where starts_with(lower(category), lower($text)) and neuron_count > 0
group by dataset, run_id, category
order by (dataset = $dataset and run_id = $run_id) desc, neuron_count desc,
    dataset, run_id, category
limit $count
"""

_NUMBERED = """
select dataset, run_id, layer, $unit as unit,
from stg_layers
where
    unit_count > $unit
    and ($layer = '' or contains(lower(layer), $layer) or list_contains(presets, $layer))
order by (dataset = $dataset and run_id = $run_id) desc, dataset, run_id, layer
limit $count
"""

_NUMBER = re.compile(r"\s*(?:(?P<layer>\S+?)[\s:/#]+)?(?P<unit>\d{1,7})\s*")

_FOLD = str.maketrans("", "", "\0")

_holding = threading.Lock()


class FoundConcept(NamedTuple):
    """A concept that labels neurons of a run, and the phrase by which it was found."""

    dataset: str
    run_id: str
    category: str
    concept: str
    neuron_count: int
    phrase: str
    language: str
    """BCP 47; empty for the concept's own name."""


class FoundCategory(NamedTuple):
    """A category of labels of a run."""

    dataset: str
    run_id: str
    category: str
    neuron_count: int
    concept_count: int


class Meanings(NamedTuple):
    """What the words may mean, what is likeliest first."""

    concepts: list[FoundConcept]
    categories: list[FoundCategory]
    neurons: list[Neuron]


def hold_phrases(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that are asked here, if they are not there: the first time takes a second.

    Args:
        connection: With the views; the tables are there for all its cursors.
    """
    if not connection.execute(_IS_HELD).fetchall():
        with _holding:
            if not connection.execute(_IS_HELD).fetchall():
                connection.execute(_HOLD)


def typed_key(connection: duckdb.DuckDBPyConnection, text: str) -> str | None:
    """What is looked for in ``label_phrases.phrase_key``: a space and the typed tokens; None if there are none.

    The table is made if it is not there.

    Args:
        connection: With the views; of it `hold_phrases` is asked.
        text: As somebody types it: the last word may be a beginning.
    """
    hold_phrases(connection)
    ((typed,),) = connection.execute(_TYPED, {"text": text}).fetchall()
    return f" {typed}" if typed else None


def find_meanings(
    connection: duckdb.DuckDBPyConnection, text: str, count: int, here: tuple[str, str] = ("", "")
) -> Meanings:
    """What a text may mean.

    Args:
        connection: With the views.
        text: As somebody types it: the last word may be a beginning.
        count: Most of each kind.
        here: Dataset and run whose neurons come first.
    """
    text = text.translate(_FOLD).strip()[:200]
    where: dict[str, str | int] = {"dataset": here[0], "run_id": here[1], "count": count}
    ask = Asker(connection, where)
    found = _NUMBER.fullmatch(text)
    neurons = []
    if found:
        layer = (found["layer"] or "").lower().removeprefix("unit")
        neurons = ask(_NUMBERED, Neuron, unit=int(found["unit"]), layer=layer)
    typed = typed_key(connection, text)
    concepts = ask(_CONCEPTS, FoundConcept, typed=typed) if typed else []
    categories = ask(_CATEGORIES, FoundCategory, text=text) if text else []
    return Meanings(concepts, categories, neurons)

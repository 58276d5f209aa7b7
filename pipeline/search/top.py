"""The images that excite or inhibit one neuron most: ``neurons top``, as a table and as a picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.display import print_table, say
from pipeline.base.errors import ConfigError
from pipeline.base.storage import Store
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, Neuron, find_neuron
from pipeline.warehouse.images import find_places, read_primary_texts, show_image
from pipeline.warehouse.layer_axes import read_axis, say_strength
from pipeline.warehouse.not_kept import say_kept, tell_not_kept
from pipeline.warehouse.stale import tell_stale
from pipeline.warehouse.support import mark_unsupported

if TYPE_CHECKING:
    import duckdb

    from pipeline.report.contact_sheet import SheetImage

COLUMNS = ("rank", "activation", "sd", "example_id", "shard", "shard_key", "text")
SHEET_IMAGES = 500
"""Most images on a picture."""

_KEPT = """
    select
        example_rank, activation, if($axis = 'z', activation_z, activation_sd) as strength,
        example_id
    from top_examples
    where
        dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        and polarity = $polarity and example_rank <= $k
"""

_STORED = """
    select
        row_number() over (
            order by if($polarity = 'positive', -activation, activation), example_id
        ) as example_rank,
        activation,
        (activation - axis_origin($axis, neuron_stats.mean)) / nullif(neuron_stats.sd, 0)
            as strength,
        example_id
    from activations
    inner join examples using (dataset, example_id)
    inner join neuron_stats using (dataset, run_id, layer, unit)
    where
        dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        and examples.duplicate_of is null
    qualify example_rank <= $k
"""

_CUTS = """
    select max({'place': -activation, 'example_id': example_id}) as last
    from activations
    inner join examples using (dataset, example_id)
    inner join stg_run_shards using (dataset, run_id, shard_ordinal)
    where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
    group by shard_ordinal, written_count
    having
        count(*) >= kept_count($store, written_count)
        and kept_count($store, written_count) < written_count
"""
"""The last that each shard keeps of the neuron's share; without shards that have no other."""

_SHARE = f"""
    select
        row_number() over (order by activation desc, example_id) as example_rank,
        activation,
        (activation - axis_origin($axis, neuron_stats.mean)) / nullif(neuron_stats.sd, 0)
            as strength,
        example_id
    from activations
    inner join examples using (dataset, example_id)
    inner join neuron_stats using (dataset, run_id, layer, unit)
    cross join (select min(last) as last from ({_CUTS})) as first_cut
    where
        dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        and examples.duplicate_of is null
        and coalesce({{'place': -activation, 'example_id': example_id}} <= first_cut.last, true)
    qualify example_rank <= $k
"""
"""Of a share the images before which none can be that was not kept: what a shard left out comes after the last
that it kept."""


@dataclass(frozen=True)
class Top:
    """The strongest examples of a neuron, best first."""

    rows: tuple[tuple[Any, ...], ...]
    """As `COLUMNS` says; ``sd`` is in standard deviations on the axis of the layer."""
    note: str
    """Why there are no more, for a person; empty if there are as many as were asked for."""


def show_top(warehouse: str, named: NamedNeuron, k: int, polarity: str, sheet: Path | None) -> None:
    """Print the strongest examples of one neuron, and draw them if asked; only that reads the tars.

    Args:
        warehouse: Folder or URL.
        named: The neuron.
        k: How many.
        polarity: ``positive`` or ``negative``.
        sheet: A PNG to draw; None draws nothing.

    Raises:
        ConfigError: ``k`` is below one.
        WarehouseError: As of `find_neuron`; or a tar with images to draw is gone.
    """
    with connect(warehouse) as connection:
        tell_stale(connection, ("top_examples", "neuron_labels"))
        neuron = find_neuron(connection, *named)
        tell_not_kept(connection, ("neuron_labels",), neuron.dataset, neuron.run_id)
        axis = read_axis(connection, neuron)
        top = find_top(connection, neuron, k, polarity)
        title = f"{neuron.layer}  unit {neuron.unit}  {polarity}"
        say(title, label := _describe_label(connection, neuron, polarity))
        if top.rows:
            names = [axis if name == "sd" else name for name in COLUMNS]
            print_table(names, iter(top.rows), limit=None)
        if top.note:
            say(top.note)
        if sheet is not None:
            from pipeline.report.contact_sheet import draw_sheet, save_sheet  # Pillow, NumPy

            images = _read_images(connection, Store(warehouse), neuron, top.rows, axis)
            ringed = any(image.peak for image in images)
            ring = "; ring: the middle of the cell where it answers most" if ringed else ""
            heads = (title, label, f"{neuron.dataset}, run {neuron.run_id}{ring}")
            save_sheet(draw_sheet(heads, images), sheet)
            more = f" (the first {SHEET_IMAGES})" if len(top.rows) > SHEET_IMAGES else ""
            say(f"Picture: {sheet}{more}")


def find_top(connection: duckdb.DuckDBPyConnection, neuron: Neuron, k: int, polarity: str) -> Top:
    """The ``k`` strongest (or most inhibiting) distinct images of a neuron.

    A run keeps the ``top_k`` of every neuron apart. More are looked for among the stored activations, which
    hold all there is, all that is above zero, or the strongest share of each shard: of that as many are shown
    as are sure to be the strongest of all.

    Args:
        connection: Of ``pipeline.connect``.
        neuron: Of `find_neuron`.
        k: How many.
        polarity: ``positive`` or ``negative``.

    Raises:
        ConfigError: ``k`` is below one.
    """
    if k < 1:
        raise ConfigError(f"k is {k}.", "It must be a whole number >= 1.")
    ((top_k, store, written_count),) = connection.execute(
        """
        select stg_runs.top_k, layers.store, runs.written_count
        from stg_runs
        inner join layers using (dataset, run_id)
        inner join runs using (dataset, run_id)
        where dataset = $dataset and run_id = $run_id and layer = $layer
        """,
        {"dataset": neuron.dataset, "run_id": neuron.run_id, "layer": neuron.layer},
    ).fetchall()
    is_whole = store == "all" or (store == "positive" and polarity == "positive")
    asked = {
        **neuron.parameters,
        "polarity": polarity,
        "k": k,
        "axis": read_axis(connection, neuron),
        "store": store,
    }
    found = _ask(connection, _STORED if k > top_k and is_whole else _KEPT, asked)
    is_share = store.startswith("top:") and polarity == "positive" and len(found) == top_k < k
    if is_share:
        found = max(found, _ask(connection, _SHARE, asked), key=len)
        is_whole = not connection.execute(
            f"select 1 from ({_CUTS})", _named(_CUTS, asked)
        ).fetchall()
    texts = read_primary_texts(connection, neuron.dataset, [row[3] for row in found])
    rows = tuple((*row, texts.get(row[3])) for row in found)
    if len(rows) >= k:
        return Top(rows, "")
    if not written_count:
        return Top(rows, "No example: the run has no image yet. Go on with neurons extract.")
    beyond = "above" if polarity == "positive" else "below"
    if not rows:
        return Top(rows, f"No example: its activation is never {beyond} zero.")
    if is_share and not is_whole:
        share = f"{say_kept(store)}, in each shard; the first {len(rows)} are the strongest of all for sure"
        more = f"--top-k {k} or more, or with a larger share"
        return Top(
            rows, f"The run keeps {share}, and are shown. For {k}, extract again with {more}."
        )
    if len(rows) == top_k and not is_whole:
        most = "strongest" if polarity == "positive" else "most inhibiting"
        kept = f"The run keeps the {top_k} {most} of each neuron, and all are shown."
        return Top(rows, f"{kept} For {k}, extract again with --top-k {k} or more.")
    none_left = "the run has no other" if store == "all" else f"no other is {beyond} zero"
    return Top(rows, f"There are {len(rows)} of the {k} asked for: {none_left}.")


def _ask(
    connection: duckdb.DuckDBPyConnection, top: str, asked: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """What one of the queries above finds, with shard and key, in order."""
    query = f"""
        with top as ({top})
        select
            top.example_rank, top.activation, top.strength, example_id,
            examples.shard, examples.shard_key
        from top
        inner join examples using (example_id)
        where examples.dataset = $dataset
        order by top.example_rank
    """
    return connection.execute(query, _named(query, asked)).fetchall()


def _named(query: str, asked: Mapping[str, object]) -> dict[str, object]:
    """The parameters that a query names: others are an error."""
    return {name: value for name, value in asked.items() if re.search(rf"\${name}\b", query)}


def _describe_label(connection: duckdb.DuckDBPyConnection, neuron: Neuron, polarity: str) -> str:
    label = connection.execute(
        """
        select concept, category, q_value, reason, supported_count, measured_count
        from neuron_labels
        where
            dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        """,
        neuron.parameters,
    ).fetchall()
    nothing = (None, None, None, "no label", None, None)
    concept, category, q, reason, supported, measured = label[0] if label else nothing
    if reason == "circular":
        reason = "circular, the text tower read the very texts that tell its concept"
    doubt = mark_unsupported(supported, measured)
    named = f"{concept} ({category}), q = {q:.2g}{doubt}" if concept else f"unlabelled: {reason}"
    if polarity == "negative":
        return f"what inhibits it most; what excites it is labelled: {named}"
    return named


def _read_images(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    neuron: Neuron,
    rows: Sequence[tuple[Any, ...]],
    axis: str,
) -> list[SheetImage]:
    """The first images, best first."""
    from pipeline.report.card_queries import name_these
    from pipeline.report.contact_sheet import SheetImage
    from pipeline.report.peaks import read_peaks

    ids = [row[3] for row in rows[:SHEET_IMAGES]]
    places = find_places(connection, neuron.dataset, ids)
    peaks = read_peaks(connection, name_these([neuron]), ids).get(neuron.unit, {})
    return [
        SheetImage(
            show_image(store, *places[example_id]),
            f"{rank}: {say_strength(strength, axis)}",
            peaks.get(example_id),
        )
        for rank, _, strength, example_id, *_ in rows[:SHEET_IMAGES]
    ]

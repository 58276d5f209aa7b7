"""Runs that keep no activations, or a share: what cannot be answered from those is said, not left empty."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from pipeline.base.errors import WarehouseError
from pipeline.base.warn import warn_once
from pipeline.warehouse.views import find_source, is_view

MADE_FROM_ALL = (
    *("raw_activations", "stg_activations", "raw_facet_aurocs", "raw_neuron_neighbours"),
    *("raw_soft_wpmi", "raw_contrasting_examples", "raw_label_scores"),
)
"""What has no rows of such layers."""

TO_HAVE_THEM = "For the rest: neurons extract --store auto, as another run."


def say_kept(store: str) -> str:
    """What ``layers.store`` means for a layer that is cut, in words."""
    if store == "none":
        return "no activations (--store none)"
    share = store.removeprefix("top:")
    return f"only the strongest {share} of each neuron's activations (--store {store})"


def explain_cut(store: str) -> str:
    """The same of a run, with what follows from it."""
    return (
        f"The run keeps {say_kept(store)}. What takes all of them was not tested, and is null or no row: "
        "AUROC, soft-WPMI, facets, neighbours, words. Its labels rest on enrichment among top "
        f"examples alone. {TO_HAVE_THEM}"
    )


def tell_not_kept(
    connection: duckdb.DuckDBPyConnection,
    asked: Iterable[str],
    dataset: str | None = None,
    run: str | None = None,
) -> None:
    """Say once which runs lack what views are made from, if these are.

    Args:
        connection: Of ``connect.connect``.
        asked: Names of views.
        dataset: The only one that matters, if the question names one.
        run: The only one that matters, if the question names one.
    """
    if not _need_activations(asked):
        return
    rows = connection.execute(
        """
        select distinct dataset, run_id, store from stg_layers
        where
            is_cut
            and coalesce(dataset = $dataset, true) and coalesce(run_id = $run, true)
        order by all
        """,
        {"dataset": dataset, "run": run},
    ).fetchall()
    for of_dataset, run_id, store in rows:
        warn_once(f"{of_dataset}, run {run_id}: {explain_cut(store)}")


def refuse_not_kept(
    connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str, layer: str, what: str
) -> None:
    """Refuse a question that takes all activations of a layer.

    Args:
        connection: Of ``connect.connect``.
        dataset: Of the layer.
        run_id: Of the layer.
        layer: Its name.
        what: What takes them, for the message.

    Raises:
        WarehouseError: It keeps none, or a share.
    """
    ((store, is_cut),) = connection.execute(
        """
        select store, is_cut from stg_layers
        where dataset = $dataset and run_id = $run_id and layer = $layer
        """,
        {"dataset": dataset, "run_id": run_id, "layer": layer},
    ).fetchall()
    if is_cut:
        raise WarehouseError(
            f"{what} takes all activations of {layer!r}, but run {run_id!r} of {dataset!r} keeps "
            f"{say_kept(store)}.",
            TO_HAVE_THEM,
        )


def _need_activations(asked: Iterable[str]) -> bool:
    """Whether any of these views is made from what is in `MADE_FROM_ALL`."""
    todo, seen = list(asked), set[str]()
    while todo:
        name = todo.pop()
        if name in MADE_FROM_ALL:
            return True
        if name not in seen:
            seen.add(name)
            todo += find_source(name).reads if is_view(name) else ()
    return False

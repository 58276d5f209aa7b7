"""Which runs of a warehouse are meant, by dataset, run and layer."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from pipeline.errors import WarehouseError


@dataclass(frozen=True)
class FoundRun:
    """One run."""

    dataset: str
    run_id: str
    model_id: str
    weights_sha256: str
    text_activation: str | None = None

    @property
    def model(self) -> tuple[str, str | None]:
        """What embeds texts in one way: weights, and the activation function that runs them."""
        return self.weights_sha256, self.text_activation


def find_runs(
    connection: duckdb.DuckDBPyConnection,
    dataset: str | None = None,
    run: str | None = None,
    layer: str | None = None,
) -> list[FoundRun]:
    """The runs that are meant; all that read a layer, if it is given.

    Raises:
        WarehouseError: There is none; the message lists what there is.
    """
    rows = connection.execute(
        """
        select distinct
            stg_runs.dataset, stg_runs.run_id, stg_runs.model_id, stg_runs.weights_sha256,
            stg_runs.text_activation
        from stg_runs
        inner join stg_layers using (dataset, run_id)
        where
            coalesce(dataset = $dataset, true) and coalesce(run_id = $run, true)
            and coalesce($layer in (layer, layer_path), true)
        order by all
        """,
        {"dataset": dataset, "run": run, "layer": layer},
    ).fetchall()
    if not rows:
        known = connection.execute(
            "select dataset, run_id, layer from stg_layers order by all"
        ).fetchall()
        listed = "; ".join(f"--dataset {d} --run {r} --layer {name}" for d, r, name in known)
        asked = {"dataset": dataset, "run": run, "layer": layer}
        named = ", ".join(f"{name} {value!r}" for name, value in asked.items() if value)
        raise WarehouseError(
            f"There is no run{f' with {named}' if named else ''} in this warehouse.",
            f"There are: {listed or 'none: run neurons extract first'}.",
        )
    return [FoundRun(*row) for row in rows]


def find_run(
    connection: duckdb.DuckDBPyConnection,
    dataset: str | None = None,
    run: str | None = None,
    layer: str | None = None,
) -> FoundRun:
    """The one run that is meant.

    Raises:
        WarehouseError: None or several match; the message lists what there is.
    """
    found = find_runs(connection, dataset, run, layer)
    if len(found) > 1:
        listed = "; ".join(f"--dataset {one.dataset} --run {one.run_id}" for one in found)
        raise WarehouseError("Several runs could be meant.", f"Choose one: {listed}.")
    return found[0]

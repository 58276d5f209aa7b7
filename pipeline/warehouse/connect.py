"""The one door to a warehouse: a DuckDB connection with every view.

It is an in-memory DuckDB with one view for every SQL file (`catalog`), over exactly the Parquet files
that manifests name. So it never sees a half-written shard, never locks anything, and is safe beside a
running extraction. Marts that ``build`` has written are used as long as nothing they rest on changed, see
`live`.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.warehouse.catalog import define, load_catalog
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.duck import open_duckdb, restrict
from pipeline.warehouse.files import WarehouseFiles
from pipeline.warehouse.fresh import Marts, find_marts
from pipeline.warehouse.inventory import collecting_later, take_inventory
from pipeline.warehouse.last_build import read_build
from pipeline.warehouse.left_out import note_left_out
from pipeline.warehouse.live import define_marts
from pipeline.warehouse.own_concepts import select_lexicon
from pipeline.warehouse.raw_views import leave_out_damaged, list_scans, name_files
from pipeline.warehouse.small_tables import fill_small_tables
from pipeline.warehouse.stale import explain_staleness, note_stale


def connect(
    warehouse: str | Path,
    settings: LabelSettings | None = None,
    use_marts: bool = True,
    unrestricted: bool = False,
) -> duckdb.DuckDBPyConnection:
    """Open a warehouse: a DuckDB connection with all views.

    Safe beside a running extraction: it shows the shards that were done when it was opened. It reads
    the warehouse and no other file, writes none there, installs nothing, and its options are locked; tables,
    views and macros of its own are free. What queries cannot hold in memory they spill, see
    `pipeline.warehouse.spill`.

    Args:
        warehouse: Folder or URL.
        settings: Parameters of the labelling views; those of the last ``build`` if None.
        use_marts: Use what ``build`` wrote, if it is up to date; otherwise everything is computed
            from the activations and partials when it is asked for. The answers are the same, but
            for what needs linear algebra (``raw_<name>`` of `computed.DERIVED`): only a build has it.
        unrestricted: All that DuckDB can do: read and write any file, attach, install, set options.

    A dataset or a run that cannot be read is left out, with a warning that says what to do.

    Raises:
        WarehouseError: There is no dataset, or none that can be read.
    """
    with collecting_later():
        return _connect(Store(warehouse), settings, use_marts, unrestricted)


def _connect(
    store: Store, settings: LabelSettings | None, use_marts: bool, unrestricted: bool
) -> duckdb.DuckDBPyConnection:
    inventory = take_inventory(store)
    connection = open_files(inventory)
    built = read_build(store)
    settings = settings or (built.settings if built else LabelSettings())
    marts = find_marts(inventory, settings, built, look=store.is_local)
    add_views(connection, inventory, settings, marts if use_marts else marts.derived())
    if use_marts and (stale := marts.stale):
        reason = explain_staleness(inventory, settings, built, stale)
        note_stale(connection, reason, stale)
    if not unrestricted:
        restrict(connection)
    return connection


def open_files(inventory: Inventory, look: bool | None = None) -> duckdb.DuckDBPyConnection:
    """A connection with the views over the files of an inventory alone.

    A dataset or run whose files cannot be read is left out of the inventory too, see `raw_views`.

    Args:
        inventory: Which files there are.
        look: Look at files, whether they are as their manifests say; if not given, where that costs no
            requests. Elsewhere a damaged one is an error of the queries that read it.

    Raises:
        NeuronsError: Nothing can be read.
    """
    files = WarehouseFiles(inventory.store)
    connection = open_duckdb(inventory.store, files=files)
    load_catalog(connection)
    scans = list_scans(inventory)
    if look or (look is None and inventory.store.is_local):
        scans = leave_out_damaged(connection, inventory, scans)
    lexicon = select_lexicon(connection, inventory.own_concepts)
    define(connection, ("lexicon", lexicon), *name_files(files, scans))
    note_left_out(connection, tuple(inventory.left_out))
    return connection


def take_whole_inventory(store: Store) -> Inventory:
    """An inventory of what can be read, its files as well as its records: what a build rests on.

    Raises:
        NeuronsError: As of `take_inventory`.
    """
    inventory = take_inventory(store)
    open_files(inventory, look=True).close()
    return inventory


def open_views(
    inventory: Inventory, settings: LabelSettings, marts: Marts | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection with every view over the files of an inventory, for who makes marts one after the other.

    Args:
        inventory: Which files there are.
        settings: Parameters of the labelling views.
        marts: Those of a build to answer from; by default none.

    Raises:
        NeuronsError: As of `open_files`.
    """
    connection = open_files(inventory)
    marts = marts or find_marts(inventory, settings, None)
    add_views(connection, inventory, settings, marts, to_build=True)
    return connection


def add_views(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    settings: LabelSettings,
    marts: Marts,
    to_build: bool = False,
) -> None:
    """Say what the views over marts and the small tables are.

    Args:
        connection: Of `open_files`.
        inventory: Which files there are.
        settings: Parameters of the labelling views.
        marts: Those to answer from; what they lack is computed when it is asked for.
        to_build: See `define_marts`.
    """
    fill_small_tables(connection, inventory, settings)
    define_marts(connection, inventory, settings, marts, to_build)

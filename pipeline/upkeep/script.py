"""The views as a script for the plain DuckDB shell."""

from __future__ import annotations

from pipeline.base.settings import LabelSettings
from pipeline.tables.computed import DERIVED
from pipeline.tables.schema import TABLES
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.fresh import Marts
from pipeline.warehouse.live import derived_select, mart_body
from pipeline.warehouse.raw_views import quote, raw_view
from pipeline.warehouse.small_tables import small_tables
from pipeline.warehouse.views import load_statements, load_views

_IS_HERE = """create or replace temp table here as
select
    case
        when count(*) = 0
            then error('Start DuckDB in the warehouse''s folder: cd WAREHOUSE && duckdb -init views.sql')
    end as told
from glob(@@LEXICON@@);
drop table here;"""
"""The views name files relative to the warehouse; elsewhere this says so."""


def write_views_script(
    inventory: Inventory, settings: LabelSettings, marts: Marts, lexicon: str
) -> str:
    """SQL that makes the same views without us: ``duckdb -init views.sql``, from the warehouse.

    Args:
        inventory: Which files there are.
        settings: Parameters of the labelling views.
        marts: All that a build makes, from where the script answers.
        lexicon: Path of the lexicon.
    """
    lexicon = quote(lexicon)
    out = ["-- Made by neurons build. Use it from this folder: duckdb -init views.sql"]
    out.append(_IS_HERE.replace("@@LEXICON@@", lexicon))
    for name, rows, columns in small_tables(inventory, settings):
        out.append(f"create or replace table {name} ({columns});")
        out += [f"insert into {name} values ({', '.join(map(_literal, row))});" for row in rows]
    out.append(f"create or replace table lexicon as from {lexicon};")
    for table in TABLES.values():
        if table.name != "compact":
            out.append(raw_view(inventory, table) + ";")
    for name in DERIVED:
        select = derived_select(name, marts.paths(name), str)
        out.append(f"create or replace view raw_{name} as\n{select};")
    out += list(load_statements())
    for view in load_views():
        body = view.body
        if view.name not in DERIVED and (paths := marts.paths(view.name)):
            body = mart_body(paths, str)
        out.append(f"create or replace view {view.name} as\n{body};")
    return "\n".join(out) + "\n"


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    return quote(str(value))

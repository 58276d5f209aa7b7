"""What a build holds in memory is what the views say, and no file is asked for it again."""

from __future__ import annotations

from pathlib import Path

from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.upkeep.hold import HELD, hold_index
from pipeline.warehouse.connect import open_views, take_whole_inventory


def test_what_is_held_is_what_the_views_say(tiny_warehouse: Path) -> None:
    queries = [f"select {columns} from {view}" for view, columns in HELD.items()]
    inventory = take_whole_inventory(Store(tiny_warehouse))
    with open_views(inventory, LabelSettings()) as connection:

        def ask() -> list[list[tuple[object, ...]]]:
            return [connection.execute(f"{one} order by all").fetchall() for one in queries]

        before = ask()
        hold_index(connection)
        assert ask() == before
        for one in queries:
            ((_, plan),) = connection.execute(f"explain {one}").fetchall()
            assert "PARQUET" not in plan
    assert all(before[:2]), "there are images, and a run has them"


def test_marts_are_made_of_what_is_held(tiny_warehouse: Path) -> None:
    inventory = take_whole_inventory(Store(tiny_warehouse))
    with open_views(inventory, LabelSettings()) as connection:
        hold_index(connection)
        asked = "select count(*) from run_concepts"
        assert connection.execute(asked).fetchall() > [(0,)]
        connection.execute("delete from held.stg_run_examples")
        assert connection.execute(asked).fetchall() == [(0,)]

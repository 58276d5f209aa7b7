"""What is held in memory answers as the views did, and nobody notices when it takes their place."""

from __future__ import annotations

import threading

import pytest

from pipeline.warehouse import duck
from pipeline.warehouse.connect import connect
from pipeline.web.door import Door
from pipeline.web.holding import HELD, Holding


def tables(connection):
    rows = connection.execute("select table_name from duckdb_tables()").fetchall()
    return {name for (name,) in rows if name.startswith("held_")}


@pytest.mark.slow
def test_what_is_held_answers_as_the_views_did_while_others_ask(tiny_warehouse, monkeypatch):
    monkeypatch.setitem(duck._shares, "threads", 1)  # sums in one order, to the last bit
    with connect(tiny_warehouse) as connection:
        counts = {}
        for name in HELD:
            connection.execute(f"create temp table before_{name} as from {name}")
            found = connection.execute(f"select count(*) from before_{name}").fetchall()
            counts[name] = found[0][0]
        assert sum(count > 0 for count in counts.values()) > 15
        is_over, wrong = threading.Event(), []

        def ask():
            cursor = connection.cursor()
            while not is_over.is_set():
                for name, count in counts.items():
                    try:
                        ((found,),) = cursor.execute(f"select count(*) from {name}").fetchall()
                        wrong.extend([name] if found != count else [])
                    except Exception as error:
                        wrong.append((name, error))

        readers = [threading.Thread(target=ask) for _ in range(3)]
        for reader in readers:
            reader.start()
        holding = Holding(connection)
        assert holding.wait(600)
        is_over.set()
        for reader in readers:
            reader.join()
        assert wrong == []
        assert holding.held == list(HELD)
        assert tables(connection) == {f"held_{name}" for name in HELD}
        for name in HELD:
            columns = connection.execute(f"describe {name}").fetchall()
            assert columns == connection.execute(f"describe before_{name}").fetchall()
            for one, other in ((name, f"before_{name}"), (f"before_{name}", name)):
                assert connection.sql(f"from {one} except all from {other}").fetchall() == []


def test_what_is_too_large_stays_a_view(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        holding = Holding(connection, max_rows=1)
        assert holding.wait(600)
        assert holding.held == [name for name in HELD if name in holding.held] != list(HELD)
        assert tables(connection) == {f"held_{name}" for name in holding.held}
        assert connection.execute("select count(*) from neuron_labels").fetchall()[0][0] > 1


@pytest.mark.slow  # what is stale
def test_a_door_holds_again_what_it_opens_again_and_nothing_where_marts_are_stale(
    tiny_warehouse, full_warehouse
):
    assert Door(str(full_warehouse), holds=True).holding is None
    door = Door(str(tiny_warehouse), holds=True)
    first = door.holding
    door.open_again()
    assert first.wait(0) and door.holding is not first
    assert door.holding.wait(600) and door.holding.held == list(HELD)
    with door.cursor() as cursor:
        assert tables(cursor) == {f"held_{name}" for name in HELD}
    door.close()
    assert door.holding is None

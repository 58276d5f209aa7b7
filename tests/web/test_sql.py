"""The SQL console: what passes, what does not, its limits, and its page."""

from __future__ import annotations

import csv
import io
import json
import os
import re

import duckdb
import pytest

from pipeline.base.errors import ConfigError
from pipeline.warehouse.connect import connect
from pipeline.warehouse.views import TOPICS, load_views
from pipeline.web.console import Console, QueryError
from pipeline.web.sql_check import MAX_CHARS, TABLE_FUNCTIONS, SqlCheck

pytestmark = pytest.mark.slow

HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def check(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        yield SqlCheck(connection)


@pytest.fixture(scope="module")
def console(tiny_warehouse):
    console = Console(str(tiny_warehouse), limit_s=300)  # the machine may be busy
    yield console
    console.close()


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "from neuron_labels;",
        "FROM Neuron_Labels",
        "table neuron_labels",
        "values (1), (2)",
        "with a as (select unit from neuron_stats) select * from a",
        "select * from neuron_stats as s, lateral (from range(s.unit))",
        "select unnest([1, 2]), list_transform([1], lambda x: x + 1), random(), uuid()",
        "describe neuron_labels",
        "summarize neuron_labels",
        "show tables",
        "from duckdb_views",
        "from information_schema.columns",
        "select 'read_text(''x'')' as read_text -- from read_text('x')",
        "explain select 1",
        "/* first */ EXPLAIN -- then\n ANALYZE\n from neuron_labels",
        "select * from neuron_labels as \"a.parquet\"",
        "(select 1) union all (select 2) order by 1",
    ],
)  # fmt: skip
def test_questions_about_the_views_pass(check, query):
    assert check.check(query).sql


ATTACKS = [
    # writing, attaching, options, more than one
    "create table t as select 1",
    "create or replace view neuron_labels as select 1",
    "create macro f() as 1",
    "insert into settings values (1)",
    "update settings set x = 1",
    "delete from settings",
    "drop view neuron_labels",
    "alter view neuron_labels rename to x",
    "attach 'x.db'",
    "use memory",
    "detach memory",
    "copy (select 1) to '/tmp/x'",
    "copy settings from '/etc/passwd'",
    "export database '/tmp/x'",
    "install httpfs",
    "load httpfs",
    "set memory_limit = '1TB'",
    "reset memory_limit",
    "set variable x = 1",
    "pragma database_list",
    "call duckdb_settings()",
    "checkpoint",
    "vacuum",
    "begin",
    "commit",
    "prepare p as select 1",
    "execute p",
    "create secret s (type s3)",
    "select 1; drop view neuron_labels",
    "select 1; select 2",
    "",
    "-- nothing",
    "explain create table t as select 1",
    "explain analyze create table t as select 1",
    "explain analyze insert into settings select 1",
    "explain analyze /* select 1 */ drop view neuron_labels",
    "explain (format json) drop view neuron_labels",
    "pivot neuron_labels on category using count(*)",
    # files, past the views
    "from 'warehouse://views.sql'",
    'from "warehouse://README.md"',
    "from 'warehouse://dataset=x/y.parquet'",
    "from '/etc/passwd'",
    "from 'x.parquet' as neuron_labels",
    'from memory.main."x.parquet"',
    "describe 'warehouse://x.parquet'",
    "summarize '/etc/passwd.csv'",
    "select (select count(*) from '/etc/passwd.csv')",
    "select 1 where exists (from 'https://example.org/x.csv')",
    "with a as (from 's3://bucket/x.parquet') select 1",
    "select * from neuron_labels join 'x.csv' using (unit)",
    "select 1 union all select * from 'x.json'",
    'with "x.parquet" as (select 1) select (with q as (from "x.parquet") select 1)',
    'select * from (with "x.csv" as (select 1) from "x.csv") as a, "x.csv"',
    "from read_text('warehouse://views.sql')",
    "FROM READ_TEXT('warehouse://views.sql')",
    "from main.read_text('x')",
    "from system.main.read_blob('x')",
    "from \"read_csv\"('x')",
    "from read_parquet(['x'])",
    "from neuron_labels, lateral (from read_text(concept))",
    "from glob('*')",
    "from sniff_csv('x')",
    "from parquet_metadata('x')",
    "from read_json_auto('x')",
    # text as SQL
    "from query('select 1')",
    "from query_table('neuron_labels')",
    "from json_execute_serialized_sql('{}')",
    "select json_deserialize_sql('{}')",
    # the server, its settings and secrets
    "from duckdb_settings()",
    "from duckdb_secrets()",
    "from which_secret('x', 's3')",
    "from duckdb_functions()",
    "from duckdb_logs",
    "from duckdb_temporary_files()",
    "from pragma_database_list",
    "from pg_catalog.pg_settings",
    "from duckdb_databases",
    "from sqlite_master",
    "select current_setting('temp_directory')",
    "select getenv('HOME')",
    "select getvariable('x')",
    "select 'x'.getenv()",
    "select list_transform(['HOME'], lambda x: getenv(x))",
    "select x from (values (1)) as t (x) order by current_setting('threads')",
    # what is kept for the next one, or only waits
    "select setseed(0.5)",
    "select nextval('s')",
    "select write_log('x')",
    "select sleep_ms(100000)",
    "select pg_sleep(100)",
    "from enable_logging('x')",
    "from checkpoint()",
    "from test_all_types()",
    "select " + "1," * MAX_CHARS + "1",
]


@pytest.mark.parametrize("query", ATTACKS, ids=lambda query: query[:50])
def test_whatever_else_is_refused(check, query):
    with pytest.raises((ConfigError, duckdb.ParserException)):
        check.check(query)


def test_every_function_that_makes_tables_is_refused_but_those_that_only_count(check):
    rows = check._connection.execute(
        "select distinct function_name from duckdb_functions() where function_type like 'table%'"
    ).fetchall()
    assert len(rows) > 50
    for (name,) in rows:
        if name in TABLE_FUNCTIONS:
            continue
        with pytest.raises(ConfigError, match="is not answered here"):
            check.check(f"from {name}('x')")


def test_a_name_that_is_no_view_is_no_variable_of_ours_and_is_told_by_duckdb(console):
    for name in ("connection", "cursor", "warehouse", "pipe"):
        with pytest.raises(QueryError, match=f"Table with name {name} does not exist"):
            console.ask(f"from {name}")


def test_values_that_json_does_not_have_are_null_and_counted(console):
    answer = console.ask(
        "select 'nan'::double, [1.5, '-inf'::float], 0.25::decimal(4, 2), date '2026-01-02', "
        "'ab'::blob, {'a': null}, 170141183460469231731687303715884105727::hugeint, true"
    )
    big = 170141183460469231731687303715884105727
    assert answer.rows == ((None, [1.5, None], 0.25, "2026-01-02", "6162", {"a": None}, big, True),)
    assert answer.not_finite_count == 2


def test_rows_beyond_the_bound_are_left_out_and_that_is_said(console):
    whole, cut = console.ask("from range(10)", 10), console.ask("from range(11)", 10)
    assert len(whole.rows) == len(cut.rows) == 10
    assert (whole.is_cut, cut.is_cut) == (False, True)
    wide = console.ask("select repeat('x', 1_000_000) from range(100)", 100)
    assert wide.is_cut and 0 < len(wide.rows) < 100, "bytes are bounded too"


def test_the_console_names_duckdbs_error_and_the_place(console):
    with pytest.raises(QueryError) as told:
        console.ask("select unit,\n  nope\nfrom neuron_labels")
    assert 'Referenced column "nope" not found' in told.value.message
    line, mark = told.value.message.splitlines()[-2:]
    assert line.endswith("nope") and mark.index("^") == line.index("nope")


def test_what_takes_too_long_is_stopped_and_the_next_query_is_answered(console, monkeypatch):
    for query in (
        "select count(*) from range(1_000_000_000_000)",
        "with recursive t as (select 1 as x union all select x + 1 from t) select sum(x) from t",
    ):
        with monkeypatch.context() as short:
            short.setattr(console, "_limit_s", 0.5)
            with pytest.raises(QueryError, match=r"longer than 0\.5 s"):
                console.ask(query)
        assert console.ask("select 2").rows == ((2,),)


def test_what_takes_too_much_memory_is_refused_and_the_next_query_is_answered(console):
    """Of the first two and the last DuckDB keeps account; the third the system refuses."""
    for query in (
        "select list(r) from range(1_000_000_000) as t (r)",
        "select range(2_000_000_000)",
        "select repeat('x', 4_000_000_000)",
        "select string_agg(repeat('x', 1_000_000), '') from range(100_000)",
    ):
        with pytest.raises(QueryError, match=r"more memory|is gone"):
            console.ask(query)
        assert console.ask("select 2").rows == ((2,),)


def test_a_process_that_is_killed_is_replaced(tiny_warehouse):
    console = Console(str(tiny_warehouse), limit_s=300)
    assert console.ask("select 1").rows == ((1,),)
    (worker,) = console._idle
    worker.process.kill()
    worker.process.join()
    with pytest.raises(QueryError, match="is gone"):
        console.ask("select 1")
    assert console.ask("select 1").rows == ((1,),)
    pid = console._idle[0].process.pid
    console.close()
    assert not os.path.exists(f"/proc/{pid}")  # noqa: PTH110


def test_neurons_and_examples_of_an_answer_are_links(explorer, run):
    _, dataset, run_id = run.split("/")
    page = explorer.get(
        "/sql", params={"query": "select layer, unit, example_id from top_examples limit 3"}
    )
    assert page.status_code == 200
    links = re.findall(r'<td class="number"><a href="([^"]+)"', page.text)
    assert len(links) == 6
    assert all(link.startswith(f"/{dataset}/{run_id}/") for link in links)
    assert explorer.get(links[0]).status_code == 200
    assert "/example/" in links[1]


def test_the_query_stands_in_the_address_and_on_the_page(explorer):
    query = 'select \'<b>&"\' as "<i>",\n  3 as n'
    page = explorer.get("/sql", params={"query": query})
    assert "<b>&" not in page.text and "<i>" not in page.text
    assert "&lt;i&gt;" in page.text
    box = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)[1]
    assert box.splitlines()[1] == "  3 as n"


@pytest.mark.parametrize("kind", ["bar", "line", "scatter"])
def test_an_answer_can_be_drawn(explorer, kind):
    asked = {"query": "select range as a, range * 2 as b from range(5)", "chart": kind}
    assert "<svg" in explorer.get("/sql", params=asked).text
    wrong = explorer.get("/sql", params={**asked, "y": "nope"}).text
    assert "has no column &#39;nope&#39;" in wrong and "<svg" not in wrong
    words = {"query": "select 'x' as a, 'y' as b", "chart": kind}
    assert "nothing to draw" in explorer.get("/sql", params=words).text


def test_the_csv_has_what_the_table_leaves_out(explorer):
    query = "select range as n, [range] as l, repeat('é', 400) as text from range(2_000)"
    answer = explorer.get("/sql.csv", params={"query": query})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == 2_000 and rows[7] == {"n": "7", "l": "[7]", "text": "é" * 400}
    assert "attachment" in answer.headers["content-disposition"]
    assert "the first 1,000" in re.sub(
        r"<.*?>", "", explorer.get("/sql", params={"query": query}).text
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_has_nothing_run(explorer, site):
    asked = {"params": {"query": "select 41 + 1 as answer"}, "headers": {"Sec-Fetch-Site": site}}
    page = explorer.get("/sql", **asked)
    assert "41 + 1" in page.text and ">42<" not in page.text and "press Run" in page.text
    assert explorer.get("/sql.csv", **asked).status_code == 400
    for headers in (HERE, {"Sec-Fetch-Site": "none"}, {}):
        assert ">42<" in explorer.get("/sql", params=asked["params"], headers=headers).text


def test_a_wrong_query_is_told_with_its_place(explorer):
    page = explorer.get("/sql", params={"query": "select nope from neuron_labels"})
    assert page.status_code == 400
    assert "Referenced column" in page.text and "^^^^" in page.text
    assert explorer.get("/sql", params={"query": "drop view neuron_labels"}).status_code == 400
    assert explorer.get("/sql?chart=pie").status_code == 400


def test_the_dictionary_has_every_view_and_column(explorer):
    page = explorer.get("/sql").text
    for view in load_views():
        if view.topic in TOPICS:
            assert f'data-view="{view.name}"' in page
            for column in view.columns:
                assert f'data-insert="{column.name}"' in page


def test_an_answer_is_plain_json():
    from pipeline.web.console_process import _NotFinite

    plain = _NotFinite().plain
    assert json.dumps(plain((float("inf"), {1: b"\x00"}, None)), allow_nan=False)

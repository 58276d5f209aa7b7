"""What holds the house together: headers, imports one way, names, documents."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base import errors
from pipeline.tables import computed, schema
from pipeline.warehouse import views
from pipeline.warehouse.connect import connect

ROOT = Path(__file__).parent.parent
RAW = {f"raw_{name}" for name in (*schema.TABLES, *computed.DERIVED) if name != "compact"}
SMALL = {
    "raw_shards",
    "raw_runs",
    "raw_layers",
    "raw_run_shards",
    "raw_class_sets",
    "raw_files",
    "settings",
    "facet_prompts",
    "lexicon",
}


@pytest.mark.parametrize("view", views.load_views(), ids=lambda view: view.name)
def test_a_view_reads_only_what_its_header_says_and_only_lower_numbers(view):
    known = {v.name: v.number for v in views.load_views()}
    body = re.sub(r"--.*", "", view.body)
    used = set(re.findall(r"(?:from|join)\s+([a-z_0-9]+)", body))
    own = set(re.findall(r"([a-z_0-9]+) as (?:not )?(?:materialized )?\(", body))
    read = {name for name in used if name in known or name in RAW | SMALL}
    assert set(view.reads) == read - (own - set(view.reads))
    for name in view.reads:
        assert name in RAW | SMALL or known[name] < view.number, f"{view.name} reads {name}"


@pytest.mark.parametrize("view", views.load_views(), ids=lambda view: view.name)
def test_sql_files_keep_the_house_style(view):
    text = view.path.read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines()) <= 88
    assert view.path.name == f"{view.number}_{view.name}.sql"
    code = re.sub(r"--.*", "", view.body)
    code = re.sub(r"'[^']*'", "''", code)
    assert code == code.lower()
    assert not re.search(r"select\s+\*", code)
    assert "\t" not in text


def test_headers_agree_with_the_database(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        for view in views.load_views():
            rows = connection.execute(f"describe {view.name}").fetchall()
            short = {"timestamp with time zone": "timestamptz"}
            got = [(row[0], short.get(row[1].lower(), row[1].lower())) for row in rows]
            assert got == [(c.name, c.type) for c in view.columns], view.name
            assert set(view.key) <= {c.name for c in view.columns}, view.name


def test_headers_become_comments_also_on_materialised_views(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        for name in ("top_examples", "activations"):
            (comment,) = connection.execute(
                "select comment from duckdb_views() where view_name = $name", {"name": name}
            ).fetchall()[0]
            assert comment.startswith(views.find_view(name).purpose)
            (missing,) = connection.execute(
                "select count(*) from duckdb_columns() where table_name = $name and comment is null",
                {"name": name},
            ).fetchall()[0]
            assert missing == 0


def test_keys_are_keys(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        for view in views.load_views():
            if view.key and view.layer != "check":
                columns = ", ".join(view.key)
                twice = connection.execute(
                    f"select {columns}, count(*) from {view.name} group by {columns} having count(*) > 1"
                ).fetchall()
                assert twice == [], view.name


def test_the_data_dictionary_is_up_to_date():
    shipped = (ROOT / "warehouse" / "README.md").read_text(encoding="utf-8")
    assert shipped == views.write_dictionary(), "run: make docs"


@pytest.mark.parametrize("kind", vars(errors).values())
def test_errors_survive_a_trip_between_processes(kind):
    if not (isinstance(kind, type) and issubclass(kind, errors.NeuronsError)):
        return
    error = kind("first", "second")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_error_is_drawn_in_the_tree():
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.NeuronsError)
    }
    assert classes == set(re.findall(r"\b\w+Error\b", errors.__doc__ or ""))


def test_the_command_line_starts_fast_and_light():
    code = (
        "import sys, time; t = time.perf_counter(); import pipeline.cli.main; "
        "print(time.perf_counter() - t); "
        "print([m for m in ('torch', 'prefect', 'duckdb', 'pyarrow') if m in sys.modules])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert runs[0].stdout.splitlines()[1] == "[]"
    assert min(float(run.stdout.splitlines()[0]) for run in runs) < 0.3


def test_everything_public_is_exported():
    import pipeline

    assert sorted(pipeline.__all__) == ["__version__", "connect", "load_clip"]
    for name in pipeline.__all__:
        assert hasattr(pipeline, name)

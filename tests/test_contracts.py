"""What holds the house together: headers, imports one way, names, documents."""

from __future__ import annotations

import ast
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import derived, errors, schema, views
from pipeline.warehouse import connect

ROOT = Path(__file__).parent.parent
RAW = {f"raw_{name}" for name in (*schema.TABLES, *derived.DERIVED) if name != "compact"}
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


LEVELS = {
    "page_policy": 1,
    "top": 7,
    "names": 0, "samples": 1, "places": 0.5, "local_file": 1, "folders": 0.7, "pixels": 0.7, "shard_lists": 2,
    "neuron_arguments": 1,
    "secrets": -3, "display": -2, "errors": -1, "credentials": 0, "open_files": -1,
    "faults": 0, "schema": 0, "warn": 0, "checksums": 0, "derived": 1, "nano": 1, "config": 1,
    "storage": 1, "progress": 1, "records": 1.5,
    "interrupts": 0, "spill": 2, "warehouse_files": 2, "duck": 2.5,
    "dataset": 2, "shards": 2, "locks": 2, "images": 3, "sources": 3, "extract": 3, "labels": 3, "views": 3,
    "outputs": 2, "leftovers": 2.4, "presence": 2.5, "audit": 2.8,
    "axes": 3, "stale": 4.5,
    "stimuli": 4, "inventory": 4, "train": 5, "evidence": 5, "warehouse": 5,
    "build": 6, "check": 6, "compact": 6, "sheet": 6, "runs": 6, "label_files": 5,
    "label_import": 6,
    "summary": 7, "query": 7, "probes": 7, "similarity": 7, "labelling": 7, "search": 7,
    "image_sources": 7, "demo_sheets": 7, "jobs": 8, "repair": 8,
    "search_like": 8, "search_sum": 8, "report": 8,
    "stimuli_commands": 9, "probe_commands": 9, "search_commands": 9, "label_commands": 9,
    "report_commands": 9, "demo": 9, "cli": 10, "entry": 11, "flows": 10,
}  # fmt: skip


def _part(module: str) -> str:
    names = module.split(".")
    return "flows" if names[0] == "flows" else names[1] if len(names) > 1 else "pipeline"


@pytest.mark.parametrize(
    "path", sorted([*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "flows").glob("*.py")]), ids=str
)
def test_imports_point_one_way(path):
    me = _part(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if me in ("pipeline", "__init__"):
        return  # the package's own door opens everything, lazily
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    for module in found:
        if module.startswith(("pipeline.", "flows")):
            other = _part(module)
            ok = other == me or LEVELS[other] < LEVELS[me]
            assert ok, f"{path.name} ({me}) imports {module}"
        if module.split(".")[0] == "prefect":
            assert me == "flows", f"{path.name} imports prefect"
        if module.split(".")[0] in ("torch", "open_clip", "torchvision"):
            assert me in ("extract", "train", "evidence"), f"{path.name} imports {module}"


def test_the_command_line_starts_fast_and_light():
    code = (
        "import sys, time; t = time.perf_counter(); import pipeline.cli; "
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

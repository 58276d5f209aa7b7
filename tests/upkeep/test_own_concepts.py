"""Own concepts: found in texts beside ours or instead of them, every bad row told, never stale unseen."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from making import ingest_paths, make_image, make_record, write_tar

from pipeline.base.errors import SourceError
from pipeline.base.storage import Store
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep.build import build, find_stale
from pipeline.upkeep.own_concepts import read_own_list
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect

TEXTS = ("A kea sits on a dog", "Ein Kea im Schnee", "Eine Katze")
OWN = """concept,category,language,phrase,kind_of
kea,parrot,en,kea,bird
kea,parrot,de,Kea,bird
bird,own animal,en,birdie,
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images with captions, built."""
    folder = tmp_path_factory.mktemp("own")
    samples = [
        {
            "__key__": f"{n}",
            "jpg": make_image(n),
            "json": make_record(text, "en" if n == 0 else "de"),
        }
        for n, text in enumerate(TEXTS)
    ]
    write_tar(folder / "in/00000.tar", samples)
    ingest_paths(folder, "webdataset", folder / "in")
    build(folder / "warehouse")
    return folder / "warehouse"


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "warehouse")


def write(folder: Path, text: str) -> Path:
    file = folder / "own.csv"
    file.write_bytes(text.encode())
    return file


def shown(place: Path) -> set[tuple[int, str, str]]:
    with connect(place) as connection:
        rows = connection.execute("select example_id, concept, category from example_concepts")
        return {(example, concept, category) for example, concept, category in rows.fetchall()}


@pytest.mark.slow
def test_they_are_found_at_once_and_after_a_build(place, tmp_path, told):
    before = shown(place)
    out = told("concepts", "add", write(tmp_path, OWN), "--warehouse", place)
    assert "3 rows: 5 phrases are new, 0 were there, 0 rows are not used." in out
    assert [part.told for part in find_stale(place)] == ["d", "all datasets"]
    own = {
        *((n, "kea", "parrot") for n in (0, 1)),
        *((n, "bird", "own animal") for n in (0, 1)),
    }
    assert shown(place) == before | own
    assert not build(place).was_current
    assert shown(place) == before | own
    out = told("concepts", "add", write(tmp_path, OWN), "--warehouse", place)
    assert "0 phrases are new, 5 were there" in out
    assert build(place).was_current, "nothing new was said"
    named = re.search(r"marts/all/lexicon-\w+\.parquet", (place / "views.sql").read_text())
    assert named and "birdie" in pq.read_table(place / named[0])["phrase"].to_pylist()
    told("concepts", "drop", "--warehouse", place)
    assert shown(place) == before


@pytest.mark.slow
def test_own_facets_are_asked_for_and_make_scores_of_others_stale(place, tmp_path, told):
    def facets():
        with connect(place) as connection:
            return connection.execute(
                "select class_set, facet, prompt from facet_prompts"
            ).fetchall()

    ours = facets()
    assert {name for name, *_ in ours} == {"facets"}
    file = write(tmp_path, "concept,category,language,phrase\netching,facet,en,etching on copper\n")
    before = shown(place)
    told("concepts", "add", file, "--warehouse", place)
    own = facets()
    assert [row[1:] for row in own] == [
        *(row[1:] for row in ours),
        ("etching", "etching on copper"),
    ]
    assert len({name for name, *_ in own} - {"facets"}) == 1
    assert shown(place) == before, "a facet is no concept"
    assert not build(place).was_current
    assert "etching on copper" in (place / "views.sql").read_text()
    told("concepts", "add", file, "--instead", "--warehouse", place)
    assert [row[1:] for row in facets()] == [("etching", "etching on copper")]
    told("concepts", "drop", "--warehouse", place)
    assert facets() == ours


@pytest.mark.slow
def test_instead_of_ours(place, tmp_path, told):
    file = write(tmp_path, OWN)
    assert "instead of ours" in told("concepts", "add", file, "--instead", "--warehouse", place)
    assert {concept for _, concept, _ in shown(place)} == {"kea", "bird"}
    assert "instead of ours" in told("concepts", "add", file, "--warehouse", place)
    assert "beside ours" in told("concepts", "add", file, "--beside", "--warehouse", place)
    assert (2, "cat", "animal") in shown(place)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",animal,en,kea,", "has no concept"),
        ("kea,,en,kea,", "has no category"),
        ("kea,animal,,kea,", "has no language"),
        ("kea,animal,en, ,", "has no phrase"),
        ("kea,animal,en,?!,", "has a phrase without letters or digits"),
        ("kea,animal,klingon,kea,", "has the language 'klingon'"),
        ("etching,facet,de,Radierung,", "is a facet in 'de'"),
        ("etching,facet,en,etching,print", "is a facet and a kind of something"),
        ("kea,animal,en,a, b,", "has 6 fields instead of 5"),
        ('kea,animal,en,"open', "opens a quote"),
    ],
)
def test_a_bad_row_is_told_and_costs_no_other(tmp_path, row, words):
    read = read_own_list(write(tmp_path, f"{OWN}{row}\n"))
    assert len(read.terms) == 5
    (reject,) = read.rejects
    assert reject.startswith("line 5 ") and words in reject


@pytest.mark.slow
def test_a_bad_file_is_an_error(tmp_path, told, place):
    for text, words in (
        ("concept,category,phrase\nkea,animal,kea\n", "lacks the column language"),
        ("concept,category,language,phrase\n", "it has no rows"),
        ("concept,category,language,phrase\nkea,animal,en,\n", "line 2 has no phrase"),
    ):
        said = told("concepts", "add", write(tmp_path, text), "--warehouse", place, code=2)
        assert words in said and "Expected a CSV in UTF-8" in said
    with pytest.raises(SourceError, match="cannot be read"):
        read_own_list(tmp_path / "nothing.csv")
    assert not (place / "concepts/own.json").exists()


def test_kinds_of_kinds_and_circles(tmp_path):
    text = "concept;category;language;phrase;kind_of\n"
    text += "kea;a;en;kea;parrot\nparrot;b;en;parrot;bird\nbird;c;nb-NO;fugl;parrot\n"
    found = read_own_list(write(tmp_path, text)).terms
    assert {(c, p) for c, _, _, p in found} == {
        *(("kea", "kea"), ("parrot", "kea"), ("bird", "kea")),
        *(("parrot", "parrot"), ("bird", "parrot")),
        *(("bird", "fugl"), ("parrot", "fugl")),
    }
    assert {language for _, _, language, phrase in found if phrase == "fugl"} == {"no"}
    assert {category for c, category, *_ in found if c == "bird"} == {"c"}


@pytest.mark.slow
def test_a_damaged_record_is_seen_and_written_again(place, tmp_path, told):
    told("concepts", "add", write(tmp_path, OWN), "--warehouse", place)
    record = place / "concepts/own.json"
    said = record.read_bytes()
    record.write_bytes(said.replace(b"parrot", b"carrot"))
    assert [damage.path for damage in audit_warehouse(Store(place)).damages] == [
        "concepts/own.json"
    ]
    repair(str(place))
    assert record.read_bytes() == said


@pytest.mark.slow
def test_what_a_caption_is_read_as(place, tmp_path, told, monkeypatch):
    monkeypatch.delenv("NEURONS_WAREHOUSE", raising=False)
    words = ("concepts", "explain", "A birdie and dogs in China")
    out = told(*words)
    assert "birdie" not in out
    assert {line.split()[1] for line in out.splitlines()[1:] if "found: " in line} >= {
        "dog",
        "China",
    }
    told("concepts", "add", write(tmp_path, OWN), "--warehouse", place)
    (line,) = (line for line in told(*words, "--warehouse", place).splitlines() if "birdie" in line)
    assert "own animal" in line and line.rstrip().endswith("found: the phrase")
    assert "name of a person" in told("concepts", "explain", "Chad Smith sings")
    assert "No phrase of this text" in told("concepts", "explain", "zzz qqq")
    assert "no language that is known" in told(*words, "--language", "klingon", code=2)

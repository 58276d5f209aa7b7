"""Shards that are added to what is built: what grows by them, what is made whole, and who says so."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textures import make_warehouse, write_textures

from pipeline.base.errors import NeuronsError
from pipeline.base.settings import IngestConfig, IngestStep, LabelSettings
from pipeline.base.storage import Store
from pipeline.sources.ingest import ingest
from pipeline.tables.computed import READS
from pipeline.tables.manifest_files import shard_file
from pipeline.tables.schema import TABLES
from pipeline.upkeep.build import BuildSummary, build
from pipeline.upkeep.told import tell_growth
from pipeline.warehouse.connect import connect
from pipeline.warehouse.growth import (
    BOUNDED,
    GROWING,
    KEEPING,
    ORIGIN_KEY,
    WHOLE,
    _as_ranges,
    _from_ranges,
)
from pipeline.warehouse.parts import OF_SHARDS, _sources
from pipeline.warehouse.views import MATERIALISED, OF_DATASET, OF_WAREHOUSE

ROOT = Path(__file__).parents[2]
SETTINGS = LabelSettings(label_null_repeats=2, concept_min_count=2)
LAST = 2


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards that are indexed and built; the manifest of a third lies beside."""
    folder = tmp_path_factory.mktemp("growth")
    tars, place = write_textures(folder / "tars"), folder / "warehouse"
    ingest(IngestConfig(str(place), "textures"), IngestStep("webdataset", (str(tars),)))
    hold_back(place, LAST)
    build(place, SETTINGS)
    return place


@pytest.fixture
def place(indexed: Path, tmp_path: Path) -> Path:
    shutil.copytree(indexed.parent, tmp_path / "all")
    return tmp_path / "all/warehouse"


def manifests(place: Path, ordinal: int) -> list[Path]:
    return sorted(place.glob(f"dataset=*/**/manifests/{ordinal:05d}.json"))


def hold_back(place: Path, ordinal: int) -> None:
    for manifest in manifests(place, ordinal):
        aside = place.parent / "aside" / manifest.relative_to(place)
        aside.parent.mkdir(parents=True, exist_ok=True)
        manifest.rename(aside)


def add(place: Path) -> None:
    shutil.copytree(place.parent / "aside", place, dirs_exist_ok=True)


def answers(place: Path) -> dict[str, list[tuple[object, ...]]]:
    names = (*OF_DATASET, *OF_WAREHOUSE)
    with connect(place) as connection:
        return {name: connection.execute(f"from {name} order by all").fetchall() for name in names}


def answers_from_scratch(
    place: Path, settings: LabelSettings = SETTINGS
) -> dict[str, list[tuple[object, ...]]]:
    shutil.rmtree(place / "marts")
    assert tell_growth(build(place, settings)) == [], "nothing had been built"
    return answers(place)


def origins(place: Path) -> set[str]:
    """Shards that marts of concepts are of."""
    found = (place / "marts/dataset=textures").glob("named_concepts-*.parquet")
    footers = [pq.read_metadata(file).metadata[ORIGIN_KEY.encode()] for file in found]
    return {json.loads(footer)["ordinals"] for footer in footers}


def rewrite(place: Path, ordinal: int) -> None:
    """Make the texts of a shard other ones."""
    (manifest,) = place.glob(f"dataset=textures/manifests/{ordinal:05d}.json")
    record = json.loads(manifest.read_text())
    (entry,) = (file for file in record["files"] if file["table"] == "texts")
    table = pq.read_table(place / entry["path"]).slice(1)
    written = Store(place).write_parquet(entry["path"], table)
    entry |= {"row_count": len(table), "bytes": written.bytes, "checksum": written.checksum}
    Store(place).write_record(f"dataset=textures/manifests/{ordinal:05d}.json", record)


def growth(done: BuildSummary) -> dict[str, int | None]:
    return {one.name: one.added for one in done.made if one.part in done.grown}


@pytest.mark.slow
def test_the_texts_of_an_added_shard_are_all_that_is_read(place: Path) -> None:
    add(place)
    texts = place / shard_file("dataset=textures", "texts", 1)
    good = texts.read_bytes()
    texts.write_bytes(bytes(len(good)))
    with pytest.raises(NeuronsError):  # what lends captions reads them all
        build(place)
    assert origins(place) == {"0-1", "0-2"}
    texts.write_bytes(good)
    build(place)
    assert answers(place) == answers_from_scratch(place)


@pytest.mark.slow
def test_the_build_says_what_grew_and_what_is_made_whole(tmp_path: Path) -> None:
    place = make_warehouse(tmp_path, ("visual.layer1.0",))
    hold_back(place, LAST)
    build(place, SETTINGS)
    add(place)
    done = build(place)
    assert growth(done) == {
        **dict.fromkeys(MATERIALISED),
        **dict.fromkeys((*GROWING, *KEEPING), 1),
    }
    told = "\n".join(tell_growth(done))
    assert "textures had been built: 1 of 2 marts are made whole, " in told
    assert "  grown by 1 shards: named_concepts " in told
    assert "  grown by 1 shards: top_examples " in told
    assert "  of neurons whose top images are others now: top_example_groups " in told
    assert "  whole, since a rank is among all images: concept_ranks " in told
    assert all(f"{name} " in told for name in MATERIALISED)
    assert tell_growth(build(place)) == [], "nothing was added"


@pytest.mark.parametrize("what", ["gone", "other", "settings"])
@pytest.mark.slow
def test_what_was_of_other_shards_does_not_grow(place: Path, what: str) -> None:
    add(place)
    settings = SETTINGS
    if what == "gone":
        hold_back(place, 0)
    elif what == "other":
        rewrite(place, 0)
    else:
        settings = replace(SETTINGS, text_kinds=("caption",))
    done = build(place, settings)
    assert growth(done)["named_concepts"] is None
    if what != "settings":
        assert "earlier shards are not what they were: named_concepts" in "\n".join(
            tell_growth(done)
        )
    assert answers(place) == answers_from_scratch(place, settings)


@pytest.mark.slow
def test_shards_that_come_before_those_that_are_built_are_added_too(place: Path) -> None:
    """A shard that had failed, or that another process was late with."""
    add(place)
    hold_back(place, 0)
    build(place)
    add(place)
    assert growth(build(place))["named_concepts"] == 1
    assert origins(place) >= {"1-2", "0-2"}
    assert answers(place) == answers_from_scratch(place)


def test_every_mart_either_grows_or_is_bounded_or_whole_and_why() -> None:
    kinds = [*GROWING, *KEEPING, *BOUNDED, *WHOLE]
    assert sorted(kinds) == sorted(MATERIALISED)


@pytest.mark.parametrize("name", list(GROWING))
def test_what_grows_rests_on_one_table_of_a_dataset_or_on_shards_of_a_run(name: str) -> None:
    tables = {table.removeprefix("raw_") for table in _sources(name).tables} & TABLES.keys()
    assert tables == {GROWING[name].table} or OF_SHARDS > tables >= {GROWING[name].table}


@pytest.mark.parametrize("name", KEEPING)
def test_what_keeps_rows_rests_on_top_images_their_embeddings_and_the_layers(name: str) -> None:
    assert {*READS[name]} <= {
        "stg_layers",
        "top_examples",
        "raw_embeddings",
        "settings",
        "label_top_k",
    }


def test_the_documents_say_of_every_mart_what_a_shard_more_does_and_why() -> None:
    lines = (ROOT / "docs/how-to/beyond.md").read_text().splitlines()
    told = {
        name: line.split("|")[2].strip()
        for line in lines
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert told.keys() == {*MATERIALISED}
    assert {name for name, how in told.items() if how.startswith("grows: ")} == {*GROWING}
    assert {name: how for name, how in told.items() if how.startswith("whole: ")} == {
        name: f"whole: {why}" for name, why in WHOLE.items()
    }


@given(st.sets(st.integers(0, 300)))
def test_ordinals_are_read_as_they_were_written(ordinals: set[int]) -> None:
    assert _from_ranges(_as_ranges(sorted(ordinals))) == ordinals

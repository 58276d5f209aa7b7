"""Repair: what is damaged or gone is made again, the rest is kept, and what nobody can make is named."""

from __future__ import annotations

import json
import math
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from damaging import copy_of, double_activations, flip
from making import ingest_paths, read_manifests
from probing import base_image

from pipeline.base.storage import Store
from pipeline.tables.audit import audit_warehouse
from pipeline.tables.folder_records import Records
from pipeline.tables.merged import find_coverage, merged_path, read_merged
from pipeline.upkeep import vacuum as vacuum_module
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.compact import compact
from pipeline.upkeep.merge import merge_run
from pipeline.upkeep.repair import repair
from pipeline.upkeep.vacuum import vacuum
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow

ANSWERS = (
    "select dataset, shard, status, read_count, written_count, rejected_count from shards",
    "select * from examples",
    "select * from texts",
    "select * from activations",
    "select * from top_examples",
    "select * from neuron_stats",
    "select * from raw_concept_scores",
    "select * from raw_class_scores",
    "select * from image_embeddings",
    "select * exclude (draw_s) from visualisations",
    "select * from word_embeddings",
    "select * from region_answers",
)


def answers(place: Path) -> list[list[tuple[object, ...]]]:
    """Rows of each question, in order."""
    with connect(place) as connection:
        found = [connection.execute(sql).fetchall() for sql in ANSWERS]
    return [sorted(rows, key=repr) for rows in found]


def are_same(found: list[list[tuple[object, ...]]], others: list[list[tuple[object, ...]]]) -> bool:
    """Whether answers are equal, numbers to nine digits; in one thread a model gives the same ones again."""

    def is_same(one: object, other: object) -> bool:
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(is_same, one, other))
        if isinstance(one, float) and isinstance(other, float):
            return math.isclose(one, other, rel_tol=1e-9)
        return one == other

    return [len(rows) for rows in found] == [len(rows) for rows in others] and all(
        all(map(is_same, row, other))
        for rows, other_rows in zip(found, others, strict=True)
        for row, other in zip(rows, other_rows, strict=True)
    )


@pytest.fixture(scope="module")
def expected(full_warehouse) -> list[list[tuple[object, ...]]]:
    return answers(full_warehouse)


def damaged(place: Path) -> list[str]:
    return [damage.path for damage in audit_warehouse(Store(place), deep=True).damages]


def test_nothing_is_done_where_nothing_is_damaged(full_warehouse, tmp_path):
    place = copy_of(full_warehouse, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in place.rglob("*.parquet")}
    done = repair(place)
    assert (done.damage_count, done.done, done.left) == (0, [], [])
    assert before == {file: file.stat().st_mtime_ns for file in place.rglob("*.parquet")}


INDEX = ("examples", "texts", "rejects", "duplicates")
RUN = ("activations/*", "shard_stats/*", "shard_histograms/*", "shard_top/*", "shard_samples/*")


def test_everything_that_can_be_made_again_is(full_warehouse, tmp_path, expected):
    """One file of every table is flipped or gone, and several records; then all is as it was."""
    place = copy_of(full_warehouse, tmp_path)
    run = next(place.glob("dataset=*/run_id=*"))
    for number, table in enumerate(INDEX):
        flip(next(place.glob(f"dataset=*/{table}/0000{number % 3}.parquet")))
    shutil.rmtree(next(place.glob("dataset=*/examples")))
    for number, table in enumerate((*RUN, "embeddings", "run_rejects")):
        flip(next(run.glob(f"{table}/0000{number % 3}.parquet")))
    flip(next(run.glob("compact/*/*/*-stats.parquet")))
    next(run.glob("compact/*/*/00000.parquet")).unlink()
    flip(next(run.glob("concept_scores/*.parquet")))
    flip(next(run.glob("concept_embeddings/*.parquet")))
    flip(next(run.glob("class_scores/*/*.parquet")))
    flip(next(run.glob("effects/*/*.parquet")))
    flip(next(run.glob("fresh_images/*/*.parquet")))
    flip(next(run.glob("visualisations/*/*-1.png")))
    flip(next(run.glob("word_embeddings/*.parquet")))
    flip(next(run.glob("region_answers/*/*.parquet")))
    flip(next(place.glob("marts/*/*/neuron_stats-*.parquet")))
    (lexicon,) = place.glob("marts/all/lexicon-*.parquet")
    flip(lexicon)
    for record in ("dataset.json", "run_id=*/run.json", "run_id=*/manifests/00001.json"):
        file = next(place.glob(f"dataset=*/{record}"))
        file.write_bytes(file.read_bytes()[:-40])
    for record in (
        "run_id=*/similarity.json",
        "run_id=*/class_sets/*.json",
        "run_id=*/effects/*.json",
        "run_id=*/support/*.json",
        "run_id=*/visualisations/*.json",
        "run_id=*/figures/words-*.json",
        "manifests/00002.json",
    ):
        flip(next(place.glob(f"dataset=*/{record}")))
    flip(place / "marts/build.json")
    assert run_violations(check(place, deep=True)) > 15
    done = repair(place)
    assert done.left == []
    assert damaged(place) == []
    assert run_violations(check(place, deep=True)) == 0
    assert are_same(answers(place), expected)


def test_just_the_damaged_shard_is_made_anew(full_warehouse, tmp_path):
    place = copy_of(full_warehouse, tmp_path)
    run = next(place.glob("dataset=*/run_id=*"))
    flip(next(run.glob("embeddings/00001.parquet")))
    others = [*run.glob("embeddings/*.parquet"), *run.glob("activations/*/*.parquet")]
    others = [file for file in others if not file.name.startswith("00001")]
    before = [file.stat().st_mtime_ns for file in others]
    done = repair(place, dataset="textures")
    assert done.left == []
    assert any("1 of 1 shards extracted again" in line for line in done.done)
    assert before == [file.stat().st_mtime_ns for file in others]


def test_what_was_compacted_of_other_values_is_compacted_again(full_warehouse, tmp_path, expected):
    place = copy_of(full_warehouse, tmp_path)
    double_activations(place, 1)
    compact(str(place))
    flip(next(place.glob("dataset=*/run_id=*/embeddings/00001.parquet")))
    assert repair(place).left == []
    with connect(place) as connection:
        assert connection.execute("select is_compacted from runs").fetchall() == [(True,)]
    assert are_same(answers(place), expected)


def test_labels_of_people_cannot_be_made_again(full_warehouse, tmp_path, expected):
    place = copy_of(full_warehouse, tmp_path)
    labels = next(place.glob("dataset=*/run_id=*/human_labels/*/*.parquet"))
    flip(labels)
    done = repair(place)
    (left,) = done.left
    assert "cannot be made again" in left
    assert labels.with_name(labels.name + ".damaged").exists()
    assert damaged(place) == []
    assert are_same(answers(place), expected)


def test_a_model_that_is_gone_is_named_and_the_rest_is_repaired(full_warehouse, tmp_path):
    place = copy_of(full_warehouse, tmp_path)
    run = next(place.glob("dataset=*/run_id=*"))
    record = Store(place).read_json(str((run / "run.json").relative_to(place)))
    record["config"]["model"] = "RN-demo:/gone/weights.pt"
    Store(place).write_record(str((run / "run.json").relative_to(place)), record, with_copy=True)
    flip(next(run.glob("embeddings/00001.parquet")))
    flip(next(place.glob("dataset=*/texts/00000.parquet")))
    done = repair(place)
    (left,) = done.left
    assert "/gone/weights.pt" in left
    assert any("made again from its tar" in line for line in done.done)
    assert damaged(place) == [str((run / "manifests/00001.json").relative_to(place))]  # still to do
    assert repair(place, model="RN-demo:random").left == []
    assert damaged(place) == []


def test_what_only_the_source_knew_is_kept_or_its_loss_told(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(3):
        base_image(n).save(folder / f"{n}.png")
    (folder / "bad.png").write_bytes(b"no image at all")
    ingest_paths(tmp_path, "folder", folder, max_reject_frac=1.0)
    place = tmp_path / "warehouse"
    (before,) = read_manifests(tmp_path)
    flip(place / "dataset=d/examples/00000.parquet")
    assert repair(place).left == []
    (after,) = read_manifests(tmp_path)
    same = ("read_count", "written_count", "rejected_count", "reject_reasons", "source_digest")
    assert {name: before[name] for name in same} == {name: after[name] for name in same}
    ingest_paths(tmp_path, "folder", folder, max_reject_frac=1.0)  # the source is still the same
    (place / "dataset=d/shards/00000.tar").unlink()
    (left,) = repair(place).left
    assert "run the same command that made 'd' again" in left
    ingest_paths(tmp_path, "folder", folder, max_reject_frac=1.0)
    assert damaged(place) == []
    assert read_manifests(tmp_path)[0]["tar_checksum"] == before["tar_checksum"]


def test_the_record_of_a_shard_that_we_wrote_is_written_twice(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    base_image(0).save(folder / "0.png")
    ingest_paths(tmp_path, "folder", folder)
    manifest = tmp_path / "warehouse/dataset=d/manifests/00000.json"
    good = manifest.read_bytes()
    flip(manifest)
    assert repair(tmp_path / "warehouse").left == []
    assert manifest.read_bytes() == good
    assert json.loads(good)["source_count"] == 1


def test_a_manifest_of_which_only_the_copy_is_left_is_written_again(tmp_path):
    """Where a shard that we wrote ends in its source nothing else says."""
    folder = tmp_path / "in"
    folder.mkdir()
    base_image(0).save(folder / "0.png")
    ingest_paths(tmp_path, "folder", folder)
    place = tmp_path / "warehouse"
    file = place / "dataset=d/manifests/00000.json"
    before = file.read_bytes()
    file.unlink()
    assert damaged(place) == ["dataset=d/manifests/00000.json"]
    assert repair(place).left == []
    assert file.read_bytes() == before
    assert damaged(place) == []


def covered_shards(store: Store, folder: str) -> set[int]:
    manifests = Records(store, folder).manifests().values()
    return find_coverage(manifests, read_merged(store, folder)).covered


def test_merged_statistics_are_kept_or_extracted_again(
    full_warehouse, tmp_path, expected, monkeypatch
):
    """A shard that becomes what it was leaves its merge as it is; a damaged merge costs its shards, of
    which a layer does not keep what is below zero."""
    place = copy_of(full_warehouse, tmp_path)
    store, run = Store(place), next(place.glob("dataset=*/run_id=*"))
    folder, count = run.relative_to(place).as_posix(), len([*run.glob("embeddings/0*.parquet")])
    record = {"width": count, "merges": [], "files": [], "retired": []}
    store.write_record(merged_path(folder), record, with_copy=True)
    assert merge_run(store, folder).shard_count == count
    monkeypatch.setattr(vacuum_module, "KEEP", timedelta(seconds=-1))
    vacuum(store)
    assert not [*run.glob("shard_top/*/0*.parquet")]
    assert are_same(answers(place), expected)
    flip(next(run.glob("embeddings/00001.parquet")))
    done = repair(place, dataset="textures")
    assert done.left == [] and any("1 of 1 shards extracted again" in line for line in done.done)
    assert damaged(place) == [] and covered_shards(store, folder) == set(range(count))
    assert are_same(answers(place), expected)
    flip(next(run.glob("shard_top/*/merged-*.parquet")))
    done = repair(place, dataset="textures")
    again = f"{count} of {count} shards extracted again"
    assert done.left == [] and any(again in line for line in done.done)
    assert [*run.glob("shard_top/*/0*.parquet")]  # and merged again by the build that followed
    assert damaged(place) == [] and covered_shards(store, folder) == set(range(count))
    assert are_same(answers(place), expected)

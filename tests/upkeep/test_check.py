"""Checks: they pass on a good warehouse, and each of them can fail."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from making import write_tar
from probing import base_image, probe_config, sample

from pipeline.base.settings import ClassifyConfig, IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.evidence.classify import classify
from pipeline.extract.run import extract
from pipeline.labelling.files import read_labels
from pipeline.labelling.read_back import import_labels
from pipeline.sources.ingest import ingest
from pipeline.tables.audit import audit_warehouse
from pipeline.tables.snapshots import write_snapshots
from pipeline.upkeep.check import check, check_files, check_unread, run_violations
from pipeline.upkeep.check_views import run_check
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron
from pipeline.warehouse.views import load_views

pytestmark = pytest.mark.slow


def test_checks_pass_on_a_good_warehouse(tiny_warehouse):
    results = check(tiny_warehouse)
    assert {r.name for r in results} == {"check_files", "check_snapshots", "warn_checksums"} | {
        v.name for v in load_views() if v.topic == "checks"
    }
    assert run_violations(results) == 0
    assert {r.name for r in results if r.violation_count} == {"warn_random_weights"}


def _edit_manifest(place, pattern, **changes):
    (path,) = list(place.glob(pattern))[:1]
    rel = str(path.relative_to(place))
    Store(place).write_record(rel, Store(place).read_json(rel) | changes)


def _rewrite(place, pattern, change):
    import pyarrow.parquet as pq

    store = Store(place)
    rel = str(sorted(place.glob(pattern))[0].relative_to(place))
    table = change(pq.ParquetFile(place / rel).read())
    written = store.write_parquet(rel, table)
    for manifest_path in [
        *place.glob("dataset=*/run_id=*/manifests/*.json"),
        *place.glob("dataset=*/run_id=*/class_sets/*.json"),
        *place.glob("dataset=*/run_id=*/human_labels/*.json"),
        *place.glob("dataset=*/manifests/*.json"),
        *place.glob("marts/build.json"),
    ]:
        manifest = json.loads(manifest_path.read_text())
        for file in manifest["files"]:
            if file["path"] == rel:  # as if it had been written so
                file |= {"row_count": len(table), **written._asdict()}
        if "bytes" in manifest:
            manifest["bytes"] = {file["table"]: file["bytes"] for file in manifest["files"]}
        store.write_record(str(manifest_path.relative_to(place)), manifest)


def _first_row_twice(table):
    import pyarrow as pa

    return pa.concat_tables([table.slice(0, 1), table])


def _nan_first(table):
    import pyarrow as pa

    values = table["activation"].to_numpy().copy()
    values[0] = np.nan
    at = table.schema.get_field_index("activation")
    return table.set_column(at, "activation", pa.array(values))


def _drop_a_bin(table):
    import pyarrow.compute as pc

    unit, bin_ = (table[name][0] for name in ("unit", "bin"))
    return table.filter(pc.or_(pc.not_equal(table["unit"], unit), pc.not_equal(table["bin"], bin_)))


def _first_peak_outside(table):
    import pyarrow as pa

    peaks = table["peak"].to_pylist()
    assert None not in peaks, "its layer pools by max"
    at = table.schema.get_field_index("peak")
    return table.set_column(at, table.schema.field(at), pa.array([4, *peaks[1:]], pa.int32()))


def _label_a_stranger(place):
    """A label of an example that is gone from the run since."""
    import pyarrow.compute as pc

    labels = place.parent / "labels.csv"
    labels.write_text("example_id,label\n0,cat\n1,dog\n")
    with connect(place) as connection:
        neuron = find_neuron(connection, "visual.layer3.0", 0)
        import_labels(connection, Store(place), neuron, read_labels(labels), "ann")
    _rewrite(
        place,
        "dataset=*/run_id=*/human_labels/*/*.parquet",
        lambda table: table.set_column(1, "example_id", pc.add(table["example_id"], 1 << 40)),
    )


def _drop_a_score(place):
    (run,) = place.glob("dataset=textures/run_id=*")
    config = ClassifyConfig(
        str(place), "textures", run.name.removeprefix("run_id="), "RN-demo:random", *CLASSES
    )
    classify(config)
    _rewrite(
        place, "dataset=*/run_id=*/class_scores/*/00000-*.parquet", lambda table: table.slice(1)
    )


def _attack_images_of_nothing(place):
    """Attacked images of which nobody knows what they were before."""
    tar = write_tar(
        place.parent / "attacks/0.tar",
        [
            sample(
                f"{n}", base_image(n), stimulus="typographic", facet="photo", control="attack",
                attack_text="cat",
            )
            for n in range(3)
        ],
    )  # fmt: skip
    ingest(IngestConfig(str(place), "d"), IngestStep("webdataset", (str(tar),)))
    extract(probe_config(str(place)))
    classify(ClassifyConfig(str(place), "d", "r", "RN-demo:random", *CLASSES))


def _attack_without_a_blank_patch(place):
    """An attack whose controls are not all there."""
    common = {"stimulus": "typographic", "facet": "photo", "base_key": "0", "placement": "strip"}
    tar = write_tar(
        place.parent / "attacks/0.tar",
        [
            sample("0", base_image(0), **common | {"placement": None}, control="clean"),
            sample("1", base_image(1), **common, control="attack", attack_text="cat"),
        ],
    )
    ingest(IngestConfig(str(place), "d"), IngestStep("webdataset", (str(tar),)))


CLASSES = (("cat", "dog"), ("a photo of a {}.",))

BREAKS = {
    "check_class_scores": _drop_a_score,
    "check_attack_shares": _attack_images_of_nothing,
    "check_counts": lambda place: _edit_manifest(
        place, "dataset=*/run_id=*/manifests/00001.json", written_count=39
    ),
    "check_unique_keys": lambda place: _rewrite(
        place, "dataset=*/texts/00000.parquet", _first_row_twice
    ),
    "check_activation_counts": lambda place: _rewrite(
        place, "dataset=*/run_id=*/activations/*/00000.parquet", lambda table: table.slice(1)
    ),
    "check_finite": lambda place: _rewrite(
        place, "dataset=*/run_id=*/activations/*/00000.parquet", _nan_first
    ),
    "check_foreign_keys": lambda place: _rewrite(
        place, "dataset=*/examples/00000.parquet", lambda table: table.slice(1)
    ),
    "check_duplicates": lambda place: _rewrite(
        place, "dataset=*/duplicates/00002.parquet", lambda table: table.slice(1)
    ),
    "check_ranks": lambda place: _rewrite_mart(place, "top_examples", lambda table: table.slice(1)),
    "check_facets": lambda place: _rewrite_mart(place, "facet_aurocs", _one_image_more),
    "check_stimuli": _attack_without_a_blank_patch,
    "check_samples": lambda place: _rewrite(
        place, "dataset=*/run_id=*/shard_samples/*/00000.parquet", _drop_a_bin
    ),
    "check_peaks": lambda place: _rewrite(
        place, "dataset=*/run_id=*/shard_top/*act3*/00000.parquet", _first_peak_outside
    ),
    "check_human_labels": lambda place: _label_a_stranger(place),
}


def _rewrite_mart(place, name, change):
    _rewrite(place, f"marts/*/*/{name}-*.parquet", change)


def _one_image_more(table):
    import pyarrow.compute as pc

    at = table.schema.get_field_index("other_count")
    return table.set_column(at, "other_count", pc.add(table["other_count"], 1))


@pytest.mark.parametrize("name", [v.name for v in load_views() if v.name.startswith("check_")])
def test_each_check_can_fail(tiny_warehouse, tmp_path, name):
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    BREAKS[name](place)
    found = {r.name for r in check(place) if r.violation_count}
    assert name in found


def test_one_dataset_can_be_checked_alone(tiny_warehouse, tmp_path, told):
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    write_tar(tmp_path / "other.tar", [{"__key__": "a", "jpg": b"no image", "txt": b"a dog"}])
    step = IngestStep("webdataset", (str(tmp_path / "other.tar"),))
    ingest(IngestConfig(str(place), "other", max_reject_frac=1.0), step)
    (one,) = {path.name for path in tiny_warehouse.glob("dataset=*")}
    (broken,) = place.glob("dataset=other/rejects/*.parquet")
    broken.write_bytes(b"damaged")
    name = one.removeprefix("dataset=")
    assert run_violations(check(place, deep=True)) == 1
    assert run_violations(check(place, deep=True, dataset="other")) == 1
    told("check", "--warehouse", place, "--dataset", "other", code=1)
    assert run_violations(check_files(audit_warehouse(Store(place), True, name))) == 0
    assert name in told("check", "--warehouse", place, "--dataset", "nope", code=2)


def test_violations_of_other_datasets_are_left_out(tiny_warehouse, tmp_path):
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    BREAKS["check_counts"](place)
    (one,) = {path.name.removeprefix("dataset=") for path in place.glob("dataset=*")}
    (view,) = [view for view in load_views() if view.name == "check_counts"]
    with connect(place) as connection:
        assert run_check(connection, view, str(place), one).violation_count > 0
        assert run_check(connection, view, str(place), None).violation_count > 0
        assert run_check(connection, view, str(place), "other").violation_count == 0


def test_what_has_not_changed_is_not_asked_again(tiny_warehouse, tmp_path, told):
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    (place / "checked.json").unlink(missing_ok=True)
    write_snapshots(Store(place))  # of a copy none of them is of these files
    first = check_unread(place)
    again = check_unread(place)
    assert first.known_view_count == first.known_record_count == first.known_file_count == 0
    assert again.known_view_count == sum(1 for view in load_views() if view.topic == "checks")
    assert again.known_record_count > 5 and again.known_file_count > 20
    assert [(r.name, r.violation_count) for r in again.results] == [
        (r.name, r.violation_count) for r in first.results
    ]
    assert [len(r.rows) for r in again.results] == [len(r.rows) for r in first.results]
    assert "not read again, unchanged" in told("check", "--warehouse", place)
    assert "not read again" not in told("check", "--warehouse", place, "--all")


def test_of_two_datasets_the_one_that_changed_is_asked(tiny_warehouse, tmp_path):
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    write_tar(tmp_path / "other.tar", [{"__key__": "a", "jpg": b"no image", "txt": b"a dog"}])
    ingest(
        IngestConfig(str(place), "other", max_reject_frac=1.0),
        IngestStep("webdataset", (str(tmp_path / "other.tar"),)),
    )
    check(place)
    BREAKS["check_counts"](place)
    (name,) = {path.name.removeprefix("dataset=") for path in tiny_warehouse.glob("dataset=*")}
    for _ in range(2):  # the second answer is remembered
        (counts,) = (r for r in check(place) if r.name == "check_counts")
        assert counts.violation_count > 0
        assert {row[counts.columns.index("dataset")] for row in counts.rows} == {name}
    (counts,) = (r for r in check(place, dataset="other") if r.name == "check_counts")
    assert counts.violation_count == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"records": {"a": 1}, "answers": {}}', "{ no"])
def test_what_is_remembered_is_a_cache(tiny_warehouse, tmp_path, text):
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    before = check(place)
    (place / "checked.json").write_text(text)
    checks = check_unread(place)
    assert checks.passed_over == ""
    for one, other in zip(checks.results, before, strict=True):
        assert (one.name, one.violation_count, len(one.rows)) == (
            other.name,
            other.violation_count,
            len(other.rows),
        )

"""What a warehouse holds and takes: every byte is counted once."""

from __future__ import annotations

import json
from pathlib import Path

from damaging import copy_of

from pipeline.base.display import show_bytes
from pipeline.base.storage import FORMAT, Store
from pipeline.upkeep.usage import measure_usage
from pipeline.warehouse.connect import connect


def test_every_byte_is_counted_once(full_warehouse: Path, tmp_path: Path) -> None:
    place = copy_of(full_warehouse, tmp_path)
    (place / "page.html").write_bytes(b"x" * 1000)
    (place / "dataset=textures" / "texts" / "00999.parquet").write_bytes(b"x" * 100)
    usage = measure_usage(Store(place))
    assert usage.bytes == sum(f.stat().st_size for f in place.rglob("*") if f.is_file())
    (dataset,) = usage.datasets
    (run,) = dataset.runs
    with connect(place) as connection:
        ((examples, units, layers),) = connection.execute(
            "select (select count(*) from examples), (select sum(unit_count) from layers),"
            " (select count(*) from layers)"
        ).fetchall()
    assert (dataset.example_count, run.unit_count, run.layer_count) == (examples, units, layers)
    assert (
        run.example_count
        + sum(
            m["rejected_count"]
            for m in map(json.loads, (f.read_text() for f in place.glob("d*/r*/manifests/*.json")))
        )
        == examples
    )
    stored = sum(f.stat().st_size for f in place.glob("d*/run_id=*/activations/**/*.parquet"))
    assert run.bytes["activations"] == stored
    assert run.is_compacted and list(run.bytes.values()) == sorted(run.bytes.values(), reverse=True)
    assert [each.bytes for each in usage.leftovers] == [100]
    assert usage.stale  # its model read the images after the build


def test_info_says_it(tiny_warehouse: Path, tmp_path: Path, told) -> None:
    place = copy_of(tiny_warehouse, tmp_path)
    out = told("info", "--warehouse", place)
    assert "textures: " in out and "  run " in out and "; up to date" in out
    assert out.splitlines()[-1].endswith(f" in {place}; format {FORMAT}")
    usage = json.loads(told("info", "--warehouse", place, "--json"))
    assert usage["datasets"][0]["name"] == "textures"
    (place / "dataset=textures" / "dataset.json").write_text('{"format": 999}')
    assert "newer" in told("info", "--warehouse", place, code=2)


def test_sizes_for_people() -> None:
    shown = [show_bytes(n) for n in (0, 999, 1000, 999_949, 999_950, 1_500_000_000, 2 * 10**15)]
    assert shown == ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.5 GB", "2000.0 TB"]

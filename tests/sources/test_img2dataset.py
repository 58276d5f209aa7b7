from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import ingest_paths, make_image, read_manifests, read_rows, write_tar

from pipeline.base.errors import ShardError, SourceError


def write_output(folder: Path, number: int, count: int, failed: tuple[int, ...]) -> Path:
    """What img2dataset leaves of one shard; images arrive in no order and some not at all."""
    rows = []
    samples: list[dict[str, object]] = []
    for n in range(count):
        key = f"{number:05d}{n:04d}"
        row = {
            "url": f"http://x/{key}.jpg",
            "key": key,
            "caption": f"caption {n}",
            "status": "failed_to_download" if n in failed else "success",
            "error_message": "HTTP Error 404: Not Found" if n in failed else None,
        }
        rows.append(row)
        if n not in failed:
            samples.append(
                {
                    "__key__": key,
                    "jpg": make_image(100 * number + n),
                    "json": json.dumps(row, indent=4).encode(),
                    "txt": b"caption as text",
                }
            )
    tar = write_tar(folder / f"{number:05d}.tar", samples[::-1])
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{number:05d}.parquet")
    write_stats(folder, number, count, len(failed))
    return tar


def write_stats(folder: Path, number: int, count: int, failed: int) -> None:
    stats = {
        "count": count,
        "successes": count - failed,
        "failed_to_download": failed,
        "failed_to_resize": 0,
        "duration": 1.5,
        "status_dict": {"success": count - failed},
    }
    (folder / f"{number:05d}_stats.json").write_text(json.dumps(stats))


def test_img2dataset(tmp_path: Path) -> None:
    for number in range(2):
        write_output(tmp_path / "in", number, 6, failed=(1, 3, 4))
    summary = ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    assert (summary.read_count, summary.written_count, summary.rejected_count) == (12, 6, 6)
    for manifest in read_manifests(tmp_path):
        assert manifest["status"] == "done"  # failed downloads never fail a shard
        assert manifest["read_count"] == 6
        assert manifest["reject_reasons"] == {"failed_to_download": 3}
    examples = read_rows(tmp_path, "examples")
    assert [row["shard_key"] for row in examples[:3]] == ["000000005", "000000002", "000000000"]
    assert examples[0]["source_url"] == "http://x/000000005.jpg"
    assert [row["text"] for row in read_rows(tmp_path, "texts")[:2]] == ["caption 5", "caption 2"]
    reject = read_rows(tmp_path, "rejects")[0]
    assert reject == {
        "shard_ordinal": 0,
        "position": 1,
        "shard_key": "000000001",
        "stage": "source",
        "reason": "failed_to_download",
        "detail": "HTTP Error 404: Not Found: http://x/000000001.jpg",
    }


def test_a_tar_that_disagrees_with_its_stats_fails(tmp_path: Path) -> None:
    write_output(tmp_path / "in", 0, 4, failed=(1,))
    other = write_output(tmp_path / "other", 0, 3, failed=(1,))
    (tmp_path / "in/00000.tar").write_bytes(other.read_bytes())
    write_output(tmp_path / "in", 1, 3, failed=())
    with pytest.raises(ShardError) as caught:
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    assert "holds 2 samples, but its source says 3" in str(caught.value)
    failed, done = read_manifests(tmp_path)
    assert (failed["status"], failed["reject_reasons"]["count_mismatch"]) == ("failed", 1)
    assert (done["status"], done["written_count"]) == ("done", 3)


def test_stats_that_disagree_with_the_parquet_fail(tmp_path: Path) -> None:
    write_output(tmp_path / "in", 0, 4, failed=(1,))
    write_stats(tmp_path / "in", 0, 5, failed=2)
    with pytest.raises(ShardError, match=r"disagree \(count 5 / 4, successes 3 / 3, failed_to_d"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")


def test_missing_or_damaged_companions(tmp_path: Path) -> None:
    write_output(tmp_path / "in", 0, 2, failed=())
    stats, rows = tmp_path / "in/00000_stats.json", tmp_path / "in/00000.parquet"
    good = rows.read_bytes()
    rows.write_bytes(good[:-10])
    with pytest.raises(ShardError, match=r"00000\.parquet is not a Parquet file of img2dataset"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    rows.write_bytes(good)
    stats.write_text('{"count": 2}')
    with pytest.raises(ShardError, match="is not a stats file of img2dataset: KeyError"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    stats.unlink()
    with pytest.raises(ShardError, match=r"_stats\.json is missing beside") as caught:
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    assert "let it finish" in str(caught.value)
    (manifest,) = read_manifests(tmp_path)
    assert manifest["reject_reasons"] == {"source_unreadable": 1}
    write_stats(tmp_path / "in", 0, 2, failed=0)
    assert ingest_paths(tmp_path, "img2dataset", tmp_path / "in").written_count == 2


def test_a_shard_whose_urls_are_all_dead_is_done(tmp_path: Path) -> None:
    write_output(tmp_path / "in", 0, 4, failed=(0, 1, 2, 3))
    write_output(tmp_path / "in", 1, 3, failed=(0,))
    for _ in range(2):
        summary = ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
        assert (summary.read_count, summary.written_count, summary.rejected_count) == (7, 2, 5)
    assert [row["status"] for row in read_manifests(tmp_path)] == ["done", "done"]


def test_an_empty_tar_that_should_hold_something_fails(tmp_path: Path) -> None:
    write_output(tmp_path / "in", 0, 4, failed=(0,))
    write_tar(tmp_path / "in/00000.tar", [])
    with pytest.raises(ShardError, match="holds no sample"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    write_tar(tmp_path / "other/00000.tar", [])
    with pytest.raises(ShardError, match="holds no sample"):
        ingest_paths(tmp_path / "other", "webdataset", tmp_path / "other")


def test_without_error_messages_and_in_nested_folders(tmp_path: Path) -> None:
    for part in range(2):
        folder = tmp_path / f"in/part-{part}"
        write_output(folder, 0, 3, failed=(1,))
        table = pq.read_table(folder / "00000.parquet").drop(["error_message"])
        pq.write_table(table, folder / "00000.parquet")
    (tmp_path / "in/part-0/_tmp").mkdir()
    ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    assert [row["shard"] for row in read_manifests(tmp_path)] == ["00000", "part-1-00000"]
    assert read_rows(tmp_path, "rejects")[0]["detail"].startswith("failed_to_download: http")


def test_other_output_formats_are_refused_with_the_cure(tmp_path: Path) -> None:
    output = tmp_path / "files"
    (output / "00000").mkdir(parents=True)
    (output / "00000/000.jpg").write_bytes(make_image())
    (output / "00000/000.json").write_text(
        '{"url": "http://x", "caption": "Hund", "LANGUAGE": "de"}'
    )
    write_stats(output, 0, 1, 0)
    pq.write_table(pa.table({"key": ["000"]}), output / "00000.parquet")
    with pytest.raises(SourceError, match="neurons ingest folder"):
        ingest_paths(tmp_path, "img2dataset", output)
    for name in ("a.parquet", "a.tfrecord"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(b"x")
        for path in (folder, folder / name):
            with pytest.raises(SourceError, match="--output_format webdataset"):
                ingest_paths(tmp_path, "img2dataset", path)
    summary = ingest_paths(tmp_path, "folder", output)
    assert (summary.rejected_count, summary.notice_counts) == (0, {"other_file": 2})
    assert read_rows(tmp_path, "examples")[0]["source_url"] == "http://x"
    assert [row["language"] for row in read_rows(tmp_path, "texts")] == ["de"]


def test_a_shard_that_lost_its_tar_fails_alone_and_comes_back(tmp_path: Path) -> None:
    tars = [write_output(tmp_path / "in", n, 4, failed=(1,)) for n in range(3)]
    whole = tars[1].read_bytes()
    tars[1].unlink()
    (tmp_path / "in/urls.parquet").write_bytes(b"what was downloaded")
    with pytest.raises(
        ShardError, match=r"1 of 3 shards.*\n.*00001\.tar is missing, though"
    ) as caught:
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    assert "name the tars" in str(caught.value)
    assert [m["status"] for m in read_manifests(tmp_path)] == ["done", "failed", "done"]
    assert read_manifests(tmp_path)[1]["reject_reasons"] == {
        "failed_to_download": 1,
        "tar_missing": 4,  # its three images, each by its name, and the shard
    }
    keys = [r["shard_key"] for r in read_rows(tmp_path, "rejects") if r["reason"] == "tar_missing"]
    assert keys == ["000010000", "000010002", "000010003", None]
    tars[1].write_bytes(whole)
    summary = ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    assert (summary.shard_count, summary.read_count, summary.written_count) == (3, 12, 9)
    for tar in tars:
        tar.unlink()  # what is done needs its tar no more
    assert ingest_paths(tmp_path, "img2dataset", tmp_path / "in") == replace(summary, seconds=ANY)


@pytest.mark.parametrize("left", ["00000_stats.json", "00000.parquet"])
def test_one_file_tells_that_a_tar_is_missing(tmp_path: Path, left: str) -> None:
    write_output(tmp_path / "in", 0, 2, failed=())
    write_output(tmp_path / "in/part-1", 1, 2, failed=())
    for name in ("00000.tar", "00000_stats.json", "00000.parquet"):
        if name != left:
            (tmp_path / "in" / name).unlink()
    with pytest.raises(ShardError, match=r"1 of 2 shards.*\n.*00000\.tar is missing"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    ingest_paths(tmp_path / "named", "img2dataset", tmp_path / "in/part-1/*.tar")


def test_an_output_that_lost_all_its_tars(tmp_path: Path) -> None:
    write_output(tmp_path / "in", 0, 2, failed=()).unlink()
    with pytest.raises(ShardError, match=r"1 of 1 shards.*\n.*00000\.tar is missing"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")
    with pytest.raises(SourceError, match="--output_format webdataset"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in/00000.parquet")
    pq.write_table(pa.table({"key": ["0"], "jpg": [b"x"]}), tmp_path / "in/00000.parquet")
    with pytest.raises(SourceError, match="--output_format webdataset"):
        ingest_paths(tmp_path, "img2dataset", tmp_path / "in")

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import webdataset.tariterators
from hypothesis import given, settings
from hypothesis import strategies as st
from making import make_image, make_samples, write_members, write_tar
from webdataset import TarWriter

from pipeline.base.errors import DamagedShardError, ShardError, StorageError
from pipeline.sources.layouts.shard_lists import expand_shards
from pipeline.tables.samples import Sample, split_name
from pipeline.tables.tars import open_shard, read_samples

keys = st.text("abcz/09_- é", min_size=1, max_size=8).filter(
    lambda key: not key.startswith("/") and not key.endswith("/") and not key.startswith("__")
)
extensions = st.sampled_from(["jpg", "png", "json", "txt", "v2.jpg"])
payloads = st.binary(max_size=1500)


@st.composite
def sample_lists(draw: st.DrawFn) -> list[dict[str, object]]:
    names = draw(st.lists(keys, min_size=1, max_size=6, unique=True))
    members = st.dictionaries(extensions, payloads, min_size=1, max_size=3)
    return [{"__key__": name, **draw(members)} for name in names]


def to_tar(samples: list[dict[str, object]]) -> bytes:
    file = io.BytesIO()
    with TarWriter(file, mtime=0, encoder=False) as tar:
        for sample in samples:
            tar.write(sample)
    return file.getvalue()


def list_members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers()


def read(data: bytes) -> list[Sample]:
    return list(read_samples(io.BytesIO(data), "x.tar"))


def plain(samples: list[Sample]) -> list[dict[str, object]]:
    return [
        {"__key__": s.key} | {ext: member.data for ext, member in s.members.items()}
        for s in samples
    ]


@settings(max_examples=60)
@given(sample_lists())
def test_reads_what_webdataset_writes(samples: list[dict[str, object]]) -> None:
    data = to_tar(samples)
    found = read(data)
    assert plain(found) == samples
    assert [sample.position for sample in found] == list(range(len(samples)))
    for sample in found:
        assert sample.error is None
        for member in sample.members.values():
            assert data[member.offset : member.offset + member.size] == member.data


@settings(max_examples=150)
@given(sample_lists(), st.data())
def test_a_cut_is_never_a_silent_success(
    samples: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = to_tar(samples)
    cut = data.draw(st.integers(0, len(whole) - 1))
    given_samples: list[Sample] = []
    try:
        for sample in read_samples(io.BytesIO(whole[:cut]), "x.tar"):
            given_samples.append(sample)  # noqa: PERF402
    except DamagedShardError as error:
        assert error.reason in ("tar_truncated", "tar_empty")
        assert error.sample_count == len(given_samples)
        assert plain(given_samples) == samples[: len(given_samples)]
    else:  # only the padding behind the end mark is missing
        assert plain(given_samples) == samples


@settings(max_examples=150)
@given(sample_lists(), st.data())
def test_a_changed_header_is_never_a_silent_loss(
    samples: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = bytearray(to_tar(samples))
    headers = [info.offset for info in list_members(bytes(whole))]
    at = data.draw(st.sampled_from(headers)) + data.draw(st.integers(0, 147))
    change = data.draw(st.integers(1, 255))
    whole[at] = (whole[at] + change) % 256
    with pytest.raises(DamagedShardError):
        read(bytes(whole))


@given(st.text("ab./_", max_size=8))
def test_splits_names_as_webdataset_does(name: str) -> None:
    key, extension = webdataset.tariterators.base_plus_ext(name)
    assert split_name(name) == (None if key is None else (key, extension))


def test_long_names(tmp_path: Path) -> None:
    name = "folder/" * 40 + "x" * 120
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = write_members(tmp_path / "long.tar", [(f"{name}.JPG", b"data")], format=form)
        with open_shard(str(path)) as file:
            (sample,) = read_samples(file, "long.tar")
        assert sample.key == name
        member = sample.members["jpg"]
        assert path.read_bytes()[member.offset :][: member.size] == member.data == b"data"


def damaged(data: bytes, reason: str) -> str:
    given_samples: list[Sample] = []
    with pytest.raises(DamagedShardError) as caught:
        for sample in read_samples(io.BytesIO(data), "x.tar"):
            given_samples.append(sample)  # noqa: PERF402
    assert caught.value.reason == reason
    assert caught.value.sample_count == len(given_samples)
    return str(caught.value)


def test_header_corrupt_in_the_middle() -> None:
    data = bytearray(to_tar(make_samples(20)))
    info = list_members(bytes(data))[16]
    data[info.offset + 3] ^= 0xFF
    message = damaged(bytes(data), "tar_damaged_header")
    assert f"has a header that is damaged (byte {info.offset:,}, after 7 whole samples)" in message
    assert "Copy or download it again" in message


def test_header_blanked_in_the_middle() -> None:
    data = bytearray(to_tar(make_samples(4)))
    info = list_members(bytes(data))[4]
    data[info.offset : info.offset + 512] = bytes(512)
    assert "header that is blank" in damaged(bytes(data), "tar_damaged_header")


def test_cut_inside_a_member() -> None:
    data = to_tar(make_samples(4))
    info = list_members(data)[4]
    message = damaged(data[: info.offset_data + 5], "tar_truncated")
    assert f"ends inside '000002.jpg' (byte {info.offset_data + 5:,}" in message


def test_cut_at_a_member_border() -> None:
    data = to_tar(make_samples(4))
    info = list_members(data)[4]
    message = damaged(data[: info.offset], "tar_truncated")
    assert "x.tar ends in the middle of a member" in message
    assert "It was cut." in message


def test_cut_between_the_two_end_blocks() -> None:
    data = to_tar(make_samples(1))
    end = list_members(data)[-1].offset + 1024
    assert "without the mark of a tar's end" in damaged(data[: end + 512], "tar_truncated")
    assert len(read(data[: end + 1024])) == 1


def test_empty_tars() -> None:
    assert "has 0 bytes" in damaged(b"", "tar_empty")
    assert "holds no sample" in damaged(to_tar([]), "tar_empty")


def test_not_a_tar() -> None:
    assert "no plain tar" in damaged(b"hello " * 400, "tar_damaged_header")


def test_two_tars_joined() -> None:
    one = to_tar(make_samples(2))
    message = damaged(one + to_tar(make_samples(1, first=5)), "tar_trailing_data")
    assert f"goes on after the mark of a tar's end (byte {len(one):,}" in message


def test_samples_with_errors(tmp_path: Path) -> None:
    members = [
        ("a.jpg", b"1"),
        ("__meta__", b"left out"),
        ("b.jpg", b"2"),
        ("a.txt", b"3"),
        ("README", b"4"),
        ("README.txt", b"5"),
        ("c.jpg", b"6"),
        ("c.JPG", b"7"),
    ]
    path = write_members(tmp_path / "x.tar", members)
    with tarfile.open(path, "a") as tar:
        folder = tarfile.TarInfo("d")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        link = tarfile.TarInfo("d/e.jpg")
        link.type, link.linkname = tarfile.LNKTYPE, "a.jpg"
        tar.addfile(link)
        link.name, link.linkname = "d/f.jpg", "nowhere.jpg"
        tar.addfile(link)
    with open_shard(str(path)) as file:
        samples = list(read_samples(file, "x"))
    assert samples[6].members["jpg"].data == b"1"
    assert str(samples[7].members["jpg"].problem) == (
        "linked_member: member 'd/f.jpg' links to 'nowhere.jpg', which is not before it"
    )
    found = [(s.position, s.key, s.error and s.error.reason) for s in samples]
    assert found == [
        (0, "a", None),
        (1, "b", None),
        (2, "a", "duplicate_key"),
        (3, "README", "no_extension"),
        (4, "README", None),
        (5, "c", "duplicate_member"),
        (6, "d/e", None),
        (7, "d/f", None),
    ]


def test_unwanted_members_are_not_kept() -> None:
    data = to_tar([{"__key__": "a", "jpg": make_image(), "mp4": bytes(5000)}])
    (sample,) = read_samples(io.BytesIO(data), "x.tar", lambda extension: extension == "jpg")
    assert sample.members["mp4"].data is None
    assert sample.members["mp4"].size == 5000
    assert sample.members["jpg"].data == make_image()


def test_too_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tables.tars.MAX_SAMPLES", 3)
    assert len(read(to_tar(make_samples(3)))) == 3
    assert "holds more than 3 samples" in damaged(to_tar(make_samples(4)), "too_many_samples")


def test_expands_folders_globs_and_ranges(tmp_path: Path) -> None:
    for name in ("00002", "00000", "00001"):
        write_tar(tmp_path / f"{name}.tar", make_samples(1))
    (tmp_path / "other.txt").write_text("no shard")
    all_three = [str(tmp_path / f"0000{n}.tar") for n in range(3)]
    assert expand_shards([str(tmp_path)]) == all_three
    assert expand_shards([f"{tmp_path}/0*.tar"]) == all_three
    assert expand_shards([f"{tmp_path}/{{00000..00002}}.tar"]) == all_three
    assert expand_shards([all_three[2], all_three[0]]) == [all_three[2], all_three[0]]
    assert expand_shards([f"file://{tmp_path}"]) == all_three
    with open_shard(f"file://{all_three[0]}") as file:
        assert len(list(read_samples(file, "x"))) == 1


def test_expansion_errors(tmp_path: Path) -> None:
    write_tar(tmp_path / "a/00000.tar", make_samples(1))
    (tmp_path / "b").mkdir()
    with pytest.raises(ShardError, match=r"1 of the 2 shards of .* are not there: .*00001\.tar"):
        expand_shards([f"{tmp_path}/a/{{00000..00001}}.tar"])
    with pytest.raises(ShardError, match=r"b holds no \.tar file"):
        expand_shards([f"{tmp_path}/b"])
    with pytest.raises(ShardError, match=r"\*\.tar holds no \.tar file"):
        expand_shards([f"{tmp_path}/b/*.tar"])
    with pytest.raises(ShardError, match=r"c\.tar is not there"):
        expand_shards([f"{tmp_path}/c.tar"])
    with pytest.raises(ShardError, match="is listed 2 times"):
        expand_shards([f"{tmp_path}/a", f"{tmp_path}/a/00000.tar"])
    with pytest.raises(ShardError, match="No shards were given"):
        expand_shards([])
    with (
        pytest.raises(StorageError, match="could not be read"),
        open_shard(f"{tmp_path}/c.tar"),
    ):
        pass

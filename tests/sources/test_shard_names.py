"""What the names in a tar mean: samples of several images, dots, hidden members, links."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from making import ingest_paths, make_image, read_manifests, read_rows, write_members

from pipeline.base.names import find_hidden, is_image_name
from pipeline.tables.tars import read_samples


def split(*names: str) -> list[tuple[int, str, tuple[str, ...], str | None]]:
    """(position, key, extensions, reason of the error) of each sample of a tar."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    file.seek(0)
    found = []
    for sample in read_samples(file, "x"):
        for member in sample.members.values():
            assert member.data == member.name.encode()
        reason = sample.error and sample.error.reason
        found.append((sample.position, sample.key, tuple(sample.members), reason))
    return found


def test_one_image_of_any_name_is_the_sample() -> None:
    assert split("a.v2.jpg", "a.json", "a.txt") == [(0, "a", ("v2.jpg", "json", "txt"), None)]


def test_the_plain_one_of_several_images_is_the_sample() -> None:
    names = ("a.thumb.jpg", "a.jpg", "a.json", "b.jpg", "b.png")
    assert split(*names) == [
        (0, "a", ("thumb.jpg", "jpg", "json"), None),
        (1, "b", ("jpg", "png"), None),
    ]


def test_images_with_a_text_of_the_same_name_are_samples() -> None:
    names = ("p.jpg", "p.txt", "p.1.jpg", "p.1.txt", "p.1.de.txt", "p.2.jpg", "q.jpg")
    assert split(*names) == [
        (0, "p", ("jpg", "txt", "2.jpg"), None),
        (1, "q", ("jpg",), None),
        (2, "p.1", ("jpg", "txt", "de.txt"), None),
    ]


def test_without_a_plain_image_each_is_a_sample_and_may_share_a_text() -> None:
    names = ("p.2021.00.jpg", "p.2021.00.txt", "p.2021.01.png", "p.json", "q.jpg", "p.2022.jpg")
    assert split(*names) == [
        (0, "p.2021.00", ("jpg", "txt"), None),
        (1, "q", ("jpg",), None),
        (2, "p.2022", ("jpg",), None),
        (3, "p.2021.01", ("png", "json"), None),
    ]


def test_repeated_members() -> None:
    assert split("a.jpg", "a.txt", "a.txt") == [(0, "a", ("jpg", "txt"), None)]
    assert split("a.jpg", "a.JPG") == [(0, "a", ("jpg",), "duplicate_member")]
    assert split("a.jpg", "b.jpg", "a.jpg")[2] == (2, "a", ("jpg",), "duplicate_key")


def test_hidden_members_part_nothing_and_positions_stay() -> None:
    names = (
        "./._a.jpg", "./a.jpg", "./._a.txt", "./a.txt", "__MACOSX/._b.jpg", "b.jpg", ".git/c.png",
        "b.txt", "x/.DS_Store", "Thumbs.db", "c.jpg", "README", "c.txt",
    )  # fmt: skip
    assert split(*names) == [
        (1, "./a", ("jpg", "txt"), None),
        (5, "b", ("jpg", "txt"), None),
        (10, "c", ("jpg", "txt"), None),
        (11, "README", (), "no_extension"),
    ]


def test_large_samples_are_read_piece_by_piece() -> None:
    names = [f"p.{n:03d}.{e}" for n in range(200) for e in ("jpg", "txt")]
    found = split(*names)
    assert [key for _, key, _, _ in found] == [f"p.{n:03d}" for n in range(200)]
    assert [position for position, *_ in found] == list(range(200))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/._b.jpg", "._*"), ("__MACOSX/b.jpg", "__MACOSX"), ("x/.DS_Store", ".DS_Store"),
        (".git/a.png", ".git"), ("a/.ipynb_checkpoints/b.jpg", ".ipynb_checkpoints"),
        ("Thumbs.db", "Thumbs.db"), (".hidden.jpg", ".*"), ("@eaDir/a.jpg", "@eaDir"),
        ("./a.jpg", None), ("a..b.jpg", None), ("../a.jpg", None), ("a.git/b.jpg", None),
    ],
)  # fmt: skip
def test_hidden_names(name: str, kind: str | None) -> None:
    assert find_hidden(name) == kind


def test_extra_images_are_rejects_that_never_fail_a_shard(tmp_path: Path) -> None:
    members = []
    for n in range(4):
        members += [(f"{n}.jpg", make_image(n)), (f"{n}.seg.png", b"mask"), (f"{n}.txt", b"a")]
    ingest_paths(tmp_path, "webdataset", write_members(tmp_path / "00000.tar", members))
    rejects = read_rows(tmp_path, "rejects")
    assert [(row["position"], row["shard_key"], row["reason"]) for row in rejects] == [
        (n, f"{n}.seg.png", "extra_image") for n in range(4)
    ]
    (manifest,) = read_manifests(tmp_path)
    assert [manifest[f"{k}_count"] for k in ("read", "written", "rejected")] == [8, 4, 4]


def test_hidden_members_are_counted(tmp_path: Path) -> None:
    members = [("._a.jpg", b"?"), ("a.jpg", make_image()), ("._a.txt", b"?"), ("a.txt", b"a dog")]
    ingest_paths(tmp_path, "webdataset", write_members(tmp_path / "00000.tar", members))
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["a dog"]
    (row,) = read_rows(tmp_path, "notices")
    assert (row["position"], row["reason"], row["detail"]) == (None, "hidden_file", "._*: 2")
    assert row["notice_count"] == 2
    assert read_rows(tmp_path, "rejects") == []


def test_hard_links_are_read_and_other_links_are_told(tmp_path: Path) -> None:
    path = write_members(tmp_path / "00000.tar", [("a.jpg", make_image()), ("a.txt", b"a dog")])
    with tarfile.open(path, "a") as tar:
        for name, kind, target in (
            ("b.jpg", tarfile.LNKTYPE, "a.jpg"), ("b.txt", tarfile.LNKTYPE, "./a.txt"),
            ("c.jpg", tarfile.LNKTYPE, "b.jpg"), ("c.txt", tarfile.SYMTYPE, "a.txt"),
            ("d.jpg", tarfile.SYMTYPE, "a.jpg"), ("e.jpg", tarfile.FIFOTYPE, ""),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    ingest_paths(tmp_path, "webdataset", path, max_reject_frac=1)
    examples = read_rows(tmp_path, "examples")
    assert [row["shard_key"] for row in examples] == ["a", "b", "c"]
    assert len({(row["image_offset"], row["image_bytes"]) for row in examples}) == 1
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["a dog", "a dog"]
    rejects = [(row["shard_key"], row["reason"]) for row in read_rows(tmp_path, "rejects")]
    assert rejects == [("d", "linked_member"), ("e", "special_member")]
    (notice,) = read_rows(tmp_path, "notices")
    assert (notice["shard_key"], notice["reason"]) == ("c", "text_unreadable")


PARTS = ["a", "b", "._a", "__MACOSX", ".git", "a.1", "a.2", "b.x.y", "README"]
NAMES = st.builds(
    lambda folder, base, end: f"{folder}{base}{end}",
    st.sampled_from(["", "./", "d/", "__MACOSX/", ".git/"]),
    st.sampled_from(PARTS),
    st.sampled_from(["", ".jpg", ".png", ".txt", ".json", ".de.txt", ".thumb.jpg", ".JPG", ".mp3"]),
)


@settings(max_examples=25)
@example(["a.jpg", "a.JPG", "b.txt", "b.TXT"])
@given(st.lists(NAMES, min_size=1, max_size=14))
@pytest.mark.slow
def test_every_image_and_text_is_used_or_told(names: list[str]) -> None:
    members = [
        (
            name,
            make_image(n) if is_image_name(name) else json.dumps({"caption": f"text {n}"}).encode(),
        )
        for n, name in enumerate(names)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = write_members(Path(folder) / "00000.tar", [("first.jpg", make_image(99)), *members])
        ingest_paths(Path(folder), "webdataset", path, max_reject_frac=1)
        (manifest,) = read_manifests(Path(folder))
        examples = read_rows(Path(folder), "examples")
        texts = read_rows(Path(folder), "texts")
        rejects = read_rows(Path(folder), "rejects")
        notices = read_rows(Path(folder), "notices")
    hidden = [row for row in notices if row["reason"] == "hidden_file"]
    assert manifest["read_count"] == len(examples) + len(rejects)
    said = " ".join([row["text"] for row in texts] + [row["detail"] for row in notices])
    lost = {row["shard_key"] for row in rejects if row["reason"] != "extra_image"}
    for n, name in enumerate(names):
        is_text = find_hidden(name) is None and "." in name and name.endswith((".txt", ".json"))
        if is_text and not any(name.startswith(key) for key in lost):
            ending = name.split(".", 2 if name.startswith("./") else 1)[-1]
            assert f"text {n}" in said or f"{ending} is not read" in said or name in said, (
                name,
                said,
            )
    ids = [row["example_id"] for row in examples]
    assert ids == sorted(set(ids))
    assert len({row["shard_key"] for row in examples}) == len(examples)
    told = " ".join(f"{row['shard_key']} {row['detail']}" for row in rejects)
    used = Counter(row["image_bytes"] for row in examples)
    assert used.total() == len(examples)
    images = [name for name in names if is_image_name(name.rsplit("/", 1)[-1]) and "." in name]
    shown = [name for name in images if find_hidden(name) is None]
    assert sum(row["notice_count"] for row in hidden) == sum(
        find_hidden(name) is not None for name in names
    )
    with_repeats = len(examples) - 1 + sum(repr(name)[1:-1] in told for name in set(shown))
    assert with_repeats >= len(set(shown))


def test_text_under_the_full_name_of_one_of_several_images() -> None:
    names = ("a.jpg", "a.txt", "a.png", "a.png.json", "a.2.jpg", "a.2.jpg.txt", "b.jpg", "b.png")
    assert split(*names) == [
        (0, "a", ("jpg", "txt"), None),
        (1, "b", ("jpg", "png"), None),
        (2, "a.2", ("jpg", "jpg.txt"), None),
        (3, "a.png", ("png", "json"), None),
    ]
    assert split("a.png", "a.jpg", "a.jpg.txt", "a.jpg") == [
        (0, "a", ("png",), None),
        (1, "a.jpg", ("jpg", "txt"), "duplicate_member"),
    ]


def test_sparse_members_are_called_that(tmp_path: Path) -> None:
    holes = tmp_path / "a.jpg"
    with holes.open("wb") as file:
        file.truncate(1 << 20)
    (tmp_path / "a.txt").write_text("a dog")
    command = ["tar", "--sparse", "--hard-dereference", "-cf", "s.tar", "a.jpg", "a.txt"]
    for form in ("gnu", "posix"):
        subprocess.run([*command, f"--format={form}"], cwd=tmp_path, check=True)
        with (tmp_path / "s.tar").open("rb") as file:
            samples = list(read_samples(file, "x"))
        problems = [m.problem for one in samples for m in one.members.values() if m.problem]
        assert [problem.reason for problem in problems] == ["sparse_member"], form
        assert "write the tar again without --sparse" in str(problems[0])
    with tarfile.open(tmp_path / "s.tar", "a") as tar:
        info = tarfile.TarInfo("b.jpg")
        info.type, info.linkname = tarfile.LNKTYPE, "a.jpg"
        tar.addfile(info)
    ingest_paths(tmp_path, "webdataset", tmp_path / "s.tar", max_reject_frac=1)
    rejects = [(row["shard_key"], row["reason"]) for row in read_rows(tmp_path, "rejects")]
    assert [reason for _, reason in rejects] == ["sparse_member", "sparse_member"]


def test_members_that_are_neither_image_nor_text_are_counted(tmp_path: Path) -> None:
    members = [("a.jpg", make_image()), ("a.cls", b"3"), ("a.mp3", b"x"), ("b.cls", b"4")]
    members += [("b.jpg", make_image(1)), ("c.heic", b"x"), ("c.seg.npy", b"x")]
    path = write_members(tmp_path / "00000.tar", members)
    ingest_paths(tmp_path, "webdataset", path, max_reject_frac=1)
    (notice,) = read_rows(tmp_path, "notices")
    assert (notice["reason"], notice["notice_count"]) == ("other_file", 3)
    assert notice["detail"] == "cls: 2, mp3: 1"
    (reject,) = read_rows(tmp_path, "rejects")
    assert (reject["shard_key"], reject["reason"]) == ("c", "unsupported_format")

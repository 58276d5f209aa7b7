"""A caption never costs its image, and only texts become texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import ingest_paths, make_image, read_rows, write_members

from pipeline.sources.notices import Notices
from pipeline.sources.texts.captions import NOT_TEXTS
from pipeline.sources.texts.decoding import decode_text
from pipeline.sources.texts.languages import is_language, read_language
from pipeline.sources.texts.source_text import parse_record, read_texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*sorted(NOT_TEXTS), "a dog", "['a', 'b']", '{"en": "x"}', "\ud800", "a\0b"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["en", "raw", "caption", "n", "de"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def read(caption: object, **plain: bytes) -> tuple[list[tuple[str, str | None]], set[str]]:
    """(text, language) of a sample whose JSON has the caption, and the reasons of its notices."""
    notices = Notices()
    data = json.dumps({"caption": caption}).encode()
    texts = read_texts({"json": parse_record(data, notices)}, plain, notices)
    return [(str(t["text"]), t["language"]) for t in texts], {n.reason for n in notices}


def words(value: object) -> set[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {word for entry in inner for word in words(entry)}


@settings(max_examples=300)
@given(JSON)
def test_any_json_gives_texts_that_stood_in_it_or_a_notice(value: object) -> None:
    texts, reasons = read(value)
    for text, _ in texts:
        assert text.strip() == text
        assert text not in NOT_TEXTS
        text.encode()
        assert "\0" not in text
        known = {
            word.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            for word in words(value)
        }
        assert any(text in word.replace("\0", " ") for word in known), (text, value)
    assert texts or reasons


@pytest.mark.parametrize(
    ("caption", "texts", "reasons"),
    [
        (float("nan"), [], {"text_left_out"}),
        (float("inf"), [], {"text_left_out"}),
        (True, [], {"text_left_out"}),
        (42, [], {"text_left_out"}),
        (12.50, [], {"text_left_out"}),
        (None, [], {"text_empty"}),
        ("", [], {"text_empty"}),
        ([], [], {"text_empty"}),
        ("nan", [], {"text_left_out"}),
        ("None", [], {"text_left_out"}),
        ("a\0 dog", [("a  dog", "und")], {"text_mended"}),
        ("\ud83d lone", [("\ufffd lone", "und")], {"text_mended"}),
        (["a cat", None], [("a cat", "und")], {"text_empty"}),
        (["a", ["nested", 7]], [("a", "und"), ("nested", "und")], {"text_left_out"}),
        ({"en": "a cow", "de": ["eine Kuh"]}, [("a cow", "en"), ("eine Kuh", "de")], set()),
        ([{"raw": "a horse", "tokens": ["a", "horse"]}], [("a horse", "und")], set()),
        ({"caption": "x", "language": "fr"}, [("x", "fr")], set()),
        ({"label": 3}, [], {"text_left_out"}),
        ("['a dog', \"it's\"]", [("a dog", "und"), ("it's", "und")], set()),
        ('["a", "b"]', [("a", "und"), ("b", "und")], set()),
        ("{'en': 'x'}", [("x", "en")], set()),
        ("['a dog', nan, -inf]", [("a dog", "und")], {"text_left_out"}),
        ("{'caption': nan}", [], {"text_left_out"}),
        ("[nan, None]", [], {"text_left_out", "text_empty"}),
        ("[dog]", [("[dog]", "und")], set()),
        ("[sic] a dog [left]", [("[sic] a dog [left]", "und")], set()),
    ],
)  # fmt: skip
def test_captions_of_every_form(caption: object, texts: list[Any], reasons: set[str]) -> None:
    assert read(caption) == (texts, reasons)


@pytest.mark.parametrize("field", ["caption", "Caption", "CAPTIONS", "Text", "TEXT"])
def test_the_names_of_members_in_any_case(field: str) -> None:
    (text,) = read_texts({"json": {field: "ein Hund", "Language": "de"}}, {}, Notices())
    assert (text["text"], text["language"]) == ("ein Hund", "de")


def test_an_empty_list_of_texts_hides_no_caption() -> None:
    for record, plain in (
        ({"texts": [], "caption": "a dog"}, {}),
        ({"texts": [None]}, {"txt": b"a dog"}),
    ):
        assert [text["text"] for text in read_texts({"json": record}, plain, Notices())] == [
            "a dog"
        ]


def test_lines_within_a_text_of_json() -> None:
    assert parse_record(b'{"caption": "a\n\tdog"}', Notices()) == {"caption": "a\n\tdog"}


def test_the_txt_is_read_where_the_json_says_nothing() -> None:
    assert read(float("nan"), txt=b"a dog") == ([("a dog", "und")], {"text_left_out"})
    assert read("a dog", txt=b"a dog\n") == ([("a dog", "und")], set())
    assert read("a dog", txt=b"a cat") == ([("a dog", "und")], {"text_not_used"})
    plain = {"txt": b"a dog", "de.txt": b"ein Hund", "0.txt": b"one more"}
    assert read_texts({}, plain, Notices()) == [
        {"language": language, "text_kind": "caption", "text": text, "page_title": None}
        for language, text in (("und", "a dog"), ("de", "ein Hund"), ("und", "one more"))
    ]


@pytest.mark.parametrize(
    ("data", "text", "reason"),
    [
        ("\ufeffa dog".encode(), "a dog", None),
        ("a cat".encode("utf-16"), "a cat", None),
        ("a cat".encode("utf-32"), "a cat", None),
        ("a cat".encode("utf-16-le"), "a cat", "text_guessed"),
        ("a cat".encode("utf-16-be"), "a cat", "text_guessed"),
        ("café und Köter".encode("latin-1"), "café und Köter", "text_guessed"),
        (b"it\x92s a dog", "it\u2019s a dog", "text_guessed"),
        ("犬".encode("shift_jis"), None, "text_unreadable"),
        ("кошка на окне".encode("koi8-r"), None, "text_unreadable"),
        ("Pies biegnie po łące".encode("cp1250"), None, "text_unreadable"),
        ("naïve café".encode()[:-1], None, "text_unreadable"),
        (b"\xed\xa0\x80 dog", None, "text_unreadable"),
        (b"\xff\xfea", None, "text_unreadable"),
        ("שלום".encode(), "שלום", None),
        (b"", "", None),
    ],
)  # fmt: skip
def test_encodings(data: bytes, text: str | None, reason: str | None) -> None:
    notices = Notices()
    assert decode_text(data, notices, "a.txt") == text
    assert [notice.reason for notice in notices] == ([] if reason is None else [reason])


@given(st.binary(max_size=40))
def test_no_bytes_raise(data: bytes) -> None:
    notices = Notices()
    texts = read_texts({"json": parse_record(data, notices)}, {"txt": data}, notices)
    for text in texts:
        assert str(text["text"]).strip()


def ingest_members(tmp_path: Path, members: Sequence[tuple[str, bytes]]) -> None:
    ingest_paths(tmp_path, "webdataset", write_members(tmp_path / "00000.tar", members))


def test_bad_texts_keep_their_image_and_become_notices(tmp_path: Path) -> None:
    bad = {
        "cut.json": b"{", "deep.json": b"[" * 100_000, "zero.json": b"", "null.json": b"null",
        "poem.json": b'{"texts": [{"text": "a", "text_kind": "poem"}]}', "word.json": b'"a dog"',
        "latin.txt": "été".encode("latin-1"), "blank.txt": b" \n", "digits.json": b"1" * 5000,
    }  # fmt: skip
    members = []
    for n, (name, data) in enumerate(bad.items()):
        members += [(f"{name.split('.')[0]}.jpg", make_image(n)), (name, data)]
    ingest_members(tmp_path, members)
    assert read_rows(tmp_path, "rejects") == []
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["a dog"]
    rows = read_rows(tmp_path, "notices")
    assert {row["shard_key"]: row["reason"] for row in rows} == {
        "cut": "text_unreadable", "deep": "text_unreadable", "zero": "text_empty",
        "null": "text_empty", "poem": "text_left_out", "latin": "text_unreadable",
        "blank": "text_empty", "digits": "text_unreadable",
    }  # fmt: skip
    keys = [row["shard_key"] for row in read_rows(tmp_path, "examples")]
    assert all(keys[row["position"]] == row["shard_key"] for row in rows)
    assert {(row["stage"], row["notice_count"]) for row in rows} == {("index", 1)}


def test_languages_of_other_programs() -> None:
    assert [read_language(tag) for tag in ("None", "nan", float("nan"), True, {}, "de")] == [
        "und", "und", "und", "und", "und", "de",
    ]  # fmt: skip
    known = [tag for tag in ("en", "zh-TW", "raw", "n", "text", 3) if is_language(tag)]
    assert known == ["en", "zh-TW"]


FULL_NAMES = [
    ({"a.jpg.json": '{"caption": "one", "url": "http://x", "language": "de"}'}, [("one", "de")], {}),
    ({"a.jpg.txt": "one"}, [("one", "und")], {}),
    ({"a.jpg.json": '{"caption": "one"}', "a.json": '{"caption": "one"}'}, [("one", "und")], {}),
    (
        {"a.json": '{"caption": "two", "url": "http://x"}', "a.jpg.json": '{"caption": "one"}'},
        [("one", "und")],
        {"text_not_used": "caption of .json says otherwise than caption of .jpg.json: 'two'"},
    ),
    ({"a.jpg.json": '{"id": 7}', "a.json": '{"caption": "two"}'}, [("two", "und")], {}),
    (
        {"a.json": '{"title": "a dog", "url": "http://x", "n": 7}'},
        [],
        {"text_not_used": ".json has no caption or text; not read are title"},
    ),
    ({"a.json": '{"title": "a dog"}', "a.txt": "one"}, [("one", "und")], {}),
    ({"a.jpg.txt": "one", "a.txt": "two"}, [("two", "und"), ("one", "und")], {}),
    (
        {"a.jpg.json": '{"caption": "one"}', "a.txt": "two", "a.jpg.txt": ""},
        [("one", "und")],
        {
            "text_not_used": "a .txt says otherwise than caption of .jpg.json: 'two'",
            "text_empty": ".jpg.txt is blank",
        },
    ),
    (
        {"a.txt": "two", "a.meta.json": '{"caption": "one"}'},
        [("two", "und")],
        {"text_not_used": ".meta.json is not read, only .jpg.json and .json are"},
    ),
    ({"a.txt": "", "a.json": '{"caption": "one"}'}, [("one", "und")], {"text_empty": ".txt is blank"}),
    ({"a.txt": "two", "a.json": '{"caption": ""}'}, [("two", "und")], {"text_empty": "the caption is blank"}),
    ({"a.txt": "two", "a.json": ""}, [("two", "und")], {"text_empty": ".json is empty"}),
    (
        {"a.json": '{"caption": "one", "text": "two"}'},
        [("one", "und")],
        {"text_not_used": "text of .json says otherwise than caption of .json: 'two'"},
    ),
    (
        {"a.json": '{"texts": [{"text": "one"}], "caption": "two"}', "a.txt": "one"},
        [("one", "und")],
        {"text_not_used": "caption of .json says otherwise than texts of .json: 'two'"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "texts", "notices"), FULL_NAMES)
def test_a_tar_and_a_folder_read_the_same_sidecars(
    tmp_path: Path, files: dict[str, str], texts: list[Any], notices: dict[str, str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.jpg").write_bytes(make_image())
    for name, text in files.items():
        (tmp_path / "folder" / name).write_text(text)
    members = [("a.jpg", make_image()), *((n, text.encode()) for n, text in files.items())]
    write_members(tmp_path / "tar/00000.tar", members)
    for source in ("webdataset", "folder"):
        place = tmp_path / f"in_{source}"
        where = tmp_path / ("folder" if source == "folder" else "tar")
        summary = ingest_paths(place, source, where)
        assert (summary.read_count, summary.written_count) == (1, 1)
        assert [(row["text"], row["language"]) for row in read_rows(place, "texts")] == texts
        told = {row["reason"]: row["detail"] for row in read_rows(place, "notices")}
        assert told == notices, source
        has_url = any("http" in text for text in files.values())
        assert [row["source_url"] for row in read_rows(place, "examples")] == [
            "http://x" if has_url else None
        ]


def test_the_json_of_a_dotted_name_is_read(tmp_path: Path) -> None:
    names = ("a.v2", "b.v2.jpg", "c")
    members = []
    for n, name in enumerate(names):
        record = json.dumps({"caption": f"text {n}"}).encode()
        members += [(f"{name[0]}.v2.jpg", make_image(n)), (f"{name}.json", record)]
    ingest_members(tmp_path, members)
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["text 0", "text 1", "text 2"]
    assert read_rows(tmp_path, "notices") == []

"""Passwords and signatures in URLs: never in a record, a view, a log or a message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from making import ingest_paths, make_image, make_record, read_rows, write_tar

from pipeline.base.credentials import refuse_credentials
from pipeline.base.display import show_lines
from pipeline.base.errors import ConfigError
from pipeline.base.secrets import drop_credentials, hide_credentials
from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.cli.app import main
from pipeline.sources.ingest import ingest

SECRET = "hunter2Zx"
URLS = [
    f"http://me:{SECRET}@127.0.0.1:9/a/00000.tar",
    f"https://{SECRET}:x@host/a.tar",
    f"simplecache::https://me:{SECRET}@host/a.tar",
    f"s3://key:{SECRET}@bucket/a.tar",
    f"https://b.s3.amazonaws.com/a.tar?X-Amz-Date=1&X-Amz-Signature={SECRET}",
    f"https://b.s3.amazonaws.com/a.tar?AWSAccessKeyId=AK&Signature={SECRET}&Expires=1",
    f"https://storage.googleapis.com/b/a.tar?X-Goog-Signature={SECRET}",
    f"https://a.blob.core.windows.net/c/a.tar?sv=2024&se=2026&sig={SECRET}",
    f"https://host/a.tar?token={SECRET}",
    f"https://host/a.tar?v=1&api_key={SECRET}#x",
    f"https://host/{{00000..00003}}.tar?access_token={SECRET}",
    f"sftp://me@home:p@{SECRET}@host/a.tar",
    f"https://host/a.tar#access_token={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_places_with_credentials_are_refused_without_a_word_of_them(
    url: str, tmp_path: Path
) -> None:
    """As a shard, as a warehouse, and as any file beside them; the way to give them is told."""
    tries = [
        lambda: ingest_paths(tmp_path, "webdataset", url),
        lambda: ingest_paths(tmp_path, "img2dataset", url),
        lambda: ingest_paths(tmp_path, "wit", url),
        lambda: ingest_paths(tmp_path, "folder", url),
        lambda: Store(url),
        lambda: ingest(IngestConfig(url, "d"), IngestStep("webdataset", (str(tmp_path),))),
    ]
    for each in tries:
        with pytest.raises(ConfigError) as caught:
            each()
        assert SECRET not in str(caught.value) and "***" in str(caught.value)
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    "url",
    [
        "https://host/a.tar",
        "https://host:8080/a.tar?v=2&name=token",
        "s3://bucket/a@b:c/00000.tar",
        "https://host/a/http://user:x/y",
        "https://me@host/a.tar",
    ],
)
def test_other_urls_stay_as_they_are(url: str) -> None:
    refuse_credentials(url)
    assert hide_credentials(url) == drop_credentials(url) == url


def test_where_an_image_came_from_is_kept_without_them(tmp_path: Path) -> None:
    samples = [
        {"__key__": f"{n}", "jpg": make_image(n), "json": make_record("a", url=url)}
        for n, url in enumerate([*URLS, "https://host/p.jpg?width=3&page=2"])
    ]
    ingest_paths(tmp_path, "webdataset", write_tar(tmp_path / "in/00000.tar", samples))
    urls = [row["source_url"] for row in read_rows(tmp_path, "examples")]
    assert SECRET not in json.dumps(urls)
    assert urls[-1] == "https://host/p.jpg?width=3&page=2"
    assert urls[0] == "http://127.0.0.1:9/a/00000.tar"
    assert urls[4] == "https://b.s3.amazonaws.com/a.tar"
    assert urls[9] == "https://host/a.tar?v=1#x"
    for file in (tmp_path / "warehouse").rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


@pytest.mark.parametrize("url", URLS)
def test_errors_and_logs_blot_them_out_wherever_they_come_from(url: str) -> None:
    """Also where a name of a model or a file is one, and where a library's own words hold it."""
    error = ConfigError(f"{url!r} could not be fetched: GET {url} says 404.", f"Check {url}.")
    for text in (str(error), show_lines(f"Retrying HEAD {url}"), str(ConfigError(str(Path(url))))):
        assert SECRET not in text and "***" in text
    assert url in error.message  # for programs


@pytest.mark.parametrize(
    "command",
    [
        ["sql", "select 1", "--format", "csv", "--out", "URL/x.csv"],
        ["top", "l", "0", "--sheet", "URL/x.png"],
        ["card", "l", "0", "--out", "URL/x.html"],
        ["report", "--out", "URL/x.html"],
        ["label", "export", "l", "0", "--out", "URL/labels"],
        ["label", "import", "URL/labels.csv"],
    ],
    ids=lambda words: words[0],
)
def test_a_url_where_a_local_file_is_meant_is_refused(
    command: list[str],
    tiny_warehouse: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It would become a folder called ``s3:``."""
    monkeypatch.chdir(tmp_path)
    words = [word.replace("URL", f"s3://me:{SECRET}@bucket") for word in command]
    monkeypatch.setattr("sys.argv", ["neurons", *words, "--warehouse", str(tiny_warehouse)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = "".join(capsys.readouterr())
    assert ended.value.code == 2 and "is a URL" in said and SECRET not in said
    assert not list(tmp_path.iterdir())

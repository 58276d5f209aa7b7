"""Captions, keys, file names and arguments that hold what a terminal obeys: nothing of it arrives there."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pytest
from making import make_image, make_record, write_members, write_tar

from pipeline.base.display import show
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest

pytestmark = pytest.mark.slow

EVIL = "\x1b]0;OWNED\x07\x9b2J\u202egnp\u2066 [bold]b :cat:\x7f"
"""Sets a terminal's title, clears it, turns the line around; and what rich would take for its own."""
LAYER = "visual.layer3.0"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A warehouse in which all that data may name is hostile; ``folder/warehouse``."""
    folder = tmp_path_factory.mktemp("hostile")
    samples = [
        {"__key__": f"{n:03d}{EVIL}", "jpg": make_image(n),
         "json": make_record(f"{n} {EVIL}\r\n\t=cat", url=f"https://example.org/{EVIL}")}
        for n in range(12)
    ]  # fmt: skip
    write_tar(folder / f"in/a{EVIL}.tar", samples)
    write_members(
        folder / f"in/b{EVIL}.tar", [(f"bad{EVIL}.jpg", b"no image"), ("x.jpg", make_image(77))]
    )
    photos = folder / f"photos{EVIL}"
    photos.mkdir()
    (photos / f"p{EVIL}.jpg").write_bytes(make_image(50))
    (photos / f"q{EVIL}.jpg").write_bytes(b"no image")
    (photos / f"p{EVIL}.txt").write_text(f"photo {EVIL}", encoding="utf-8")
    place = str(folder / "warehouse")
    limits = {"max_reject_frac": 1.0}
    ingest(IngestConfig(place, "tars", **limits), IngestStep("webdataset", (str(folder / "in"),)))
    extract(
        ExtractConfig(place, "tars", "RN-demo:random", (LAYER,), device="cpu", max_reject_frac=1.0)
    )
    return folder


def is_safe(text: str) -> bool:
    return "\n".join(map(show, text.split("\n"))) == text


def test_nothing_that_commands_print_is_obeyed(world, told, tmp_path, capsys):
    here = ("--warehouse", world / "warehouse")
    texts = (
        "select shard, shard_key, text from texts inner join examples using (dataset, example_id)"
    )
    lively = told(
        "sql", "select min(unit) from neuron_stats where sd > 0", "--format", "csv", *here
    )
    unit = lively.split()[-1]
    photos = ("ingest", "folder", world / f"photos{EVIL}", "--dataset", "photos", *here)
    commands = [
        (*photos, "--max-reject-frac", 1),
        ("build", "--set", "label_null_repeats=0", *here),
        ("sql", texts, *here),
        ("sql", "select * from rejects", *here),
        ("sql", "select * from shards", *here),
        ("sql", f"select 1 as \"{EVIL}\"", *here),
        ("sql", "select list(text) as l, {'a': any_value(text)} as s from texts", *here),
        ("sql", texts, "--format", "json", *here),
        ("check", *here),
        ("top", LAYER, unit, "-k", 3, "--sheet", tmp_path / f"{EVIL}.png", *here),
        ("label", "export", LAYER, unit, "--out", tmp_path / f"sheet{EVIL}", *here),
        ("card", LAYER, unit, "--out", tmp_path / "card.html", *here),
        ("site", "--neurons", unit, "--layer", LAYER, "--out", tmp_path / "site", "--processes", 1, *here),
    ]  # fmt: skip
    for command in commands:
        out = told(*command)
        assert is_safe(out), command
        assert out
    page = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert is_safe(page), "in pages too"
    assert "OWNED" in page
    for path in (tmp_path / "site").rglob("*.*"):
        if path.suffix in (".html", ".js", ".json"):
            assert is_safe(path.read_text(encoding="utf-8")), path
    (neuron,) = (tmp_path / "site").rglob(f"*~*/{unit}.html")
    assert "OWNED" in neuron.read_text(encoding="utf-8")


def test_what_is_for_machines_is_exact(world, told):
    here = ("--warehouse", world / "warehouse")
    query = "select text from texts order by text"
    rows = list(
        csv.DictReader(io.StringIO(told("sql", query, "--format", "csv", *here), newline=""))
    )
    parsed = json.loads(told("sql", query, "--format", "json", *here))
    assert rows == parsed
    assert any(EVIL in row["text"] for row in rows)
    formula = ("sql", "select '=1+1' as a, -1 as b", *here)
    assert told(*formula, "--format", "csv").splitlines() == ["a,b", "'=1+1,-1"], "to a spreadsheet"
    assert json.loads(told(*formula, "--format", "json")) == [{"a": "=1+1", "b": -1}]


@pytest.mark.parametrize(
    "command",
    [
        ("sql", f"select {EVIL} from examples"),
        ("sql", f"select * from \"{EVIL}\""),
        ("top", EVIL, 3),
        ("top", LAYER, 3, "--dataset", EVIL),
        ("top", LAYER, 3, "--run", EVIL),
        ("top", LAYER, 3, "--polarity", EVIL),
        ("top", LAYER, 3, f"--{EVIL}"),
        ("find", EVIL, "--layer", EVIL),
        ("ingest", "folder", EVIL, "--dataset", "x"),
        ("ingest", "webdataset", f"{EVIL}.tar", "--dataset", "x"),
        ("ingest", "wit", f"{EVIL}.tsv", "--images", EVIL, "--dataset", "x"),
        ("ingest", "folder", "x", "--dataset", EVIL),
        ("extract", "--dataset", EVIL, "--model", "RN-demo:random", "--layer", LAYER),
        ("extract", "--dataset", "tars", "--model", EVIL, "--layer", LAYER),
        ("extract", "--dataset", "tars", "--model", "RN-demo:random", "--layer", EVIL),
        ("extract", "--dataset", "tars", "--model", "RN-demo:random", "--layer", LAYER, "--device", EVIL),
        ("card", LAYER, 3, "--out", EVIL),
        ("label", "import", EVIL),
        ("compact", "--run", EVIL),
        ("run", EVIL),
        (EVIL,),
    ],
    ids=lambda command: show(command[0])[:10],
)  # fmt: skip
def test_errors_show_what_was_given_and_obey_nothing(world, told, command):
    here = () if command[0] in ("run", EVIL) else ("--warehouse", world / "warehouse")
    error = told(*command, *here, code=2)
    assert is_safe(error)
    assert r"\x1b]0;OWNED" in error


def test_on_a_terminal_too(world, tmp_path):
    """With bars, tables and CSV on a pseudo-terminal, where rich's own escapes are right."""
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    place = ("--warehouse", str(world / "warehouse"))
    for n, arguments in enumerate((
        ("ingest", "webdataset", str(world / "in"), "--dataset", "again", "--max-reject-frac", "1"),
        ("sql", "select text from texts limit 3", "--format", "table"),
        ("sql", "select text from texts limit 3", "--format", "csv"),
    )):  # fmt: skip
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "pipeline.cli", *arguments, *place]
        log = tmp_path / f"{n}.txt"
        with (
            subprocess.Popen(command, stdout=theirs, stderr=theirs, env=env) as process,
            log.open("wb") as file,
        ):
            os.close(theirs)
            try:
                while data := os.read(ours, 1 << 16):
                    file.write(data)
            except OSError:
                pass  # how a terminal ends
        os.close(ours)
        text = log.read_text(encoding="utf-8")
        assert process.returncode == 0, text
        assert r"\x1b]0;OWNED\x07\x9b2J\u202egnp\u2066 [bold]b :cat:\x7f" in text
        for one in ("\x1b]", "\x07", "\x9b", "\u202e", "\u2066", "\x7f"):
            assert one not in text

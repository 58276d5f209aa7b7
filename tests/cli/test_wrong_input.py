"""What a user types wrong is told as that, with exit status 2, and never as a bug of ours."""

from __future__ import annotations

import sys

import pytest

from pipeline.cli.app import main

LONG = "x" * 5000
HERE = ("--warehouse", "w")
WORDS = ("stimuli", "words", "--dataset", "s", "--list", "words.txt", *HERE)
TEXT = ("--text", "a", "--dataset", "s", *HERE)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a list of words, a file that is none, and an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # nobody is asked for credentials
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    (tmp_path / "words.txt").write_text("cat\n")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((*WORDS, "--ink", "nocolour"), "'nocolour' is no colour"),
        ((*WORDS, "--ink", ""), "'' is no colour"),
        ((*WORDS, "--paper", "#12"), "'#12' is no colour"),
        ((*WORDS, "--rotation-deg", "nan"), "rotation_deg is nan"),
        ((*WORDS, "--rotation-deg", "inf"), "rotation_deg is inf"),
        ((*WORDS, "--rotation-deg", 181), "It must be a number, from 0 to 180"),
        ((*WORDS, "--size-frac", "nan", "0.5"), "size_frac is [nan, 0.5]"),
        ((*WORDS, "--size-frac", "0.9", "0.5"), "size_frac is 0.9 to 0.5"),
        ((*WORDS, "--placement", "middle"), "'middle' is not one of"),
        ((*WORDS, "--language", "tlh"), "'tlh' is not one of"),
        ((*WORDS, "--size-px", -1), "size_px is -1"),
        ((*WORDS, "--shard-size", 0), "shard_size is 0"),
        ((*WORDS, "--max-reject-frac", "nan"), "max_reject_frac is nan"),
        ((*WORDS, "--font", "~nosuchuser/x"), "no file or folder '~nosuchuser/x'"),
        ((*WORDS, "--font", LONG), "File name too long"),
        ((*WORDS[:-4], "--list", "~nosuchuser/x", *HERE), "cannot be read"),
        ((*WORDS[:-4], "--list", "bytes", *HERE), "cannot be read"),
        ((*WORDS[:-4], "--list", "folder", *HERE), "cannot be read"),
        (("stimuli", "stroop", "--size-px", 0, "--dataset", "s", *HERE), "size_px is 0"),
        (("stimuli", "pictures", "--set", "~nosuchuser", "--dataset", "s", *HERE), "~nosuchuser"),
        (
            ("stimuli", "typographic", "openmoji", "--limit", -1, *TEXT),
            "limit is -1",
        ),
        (("stimuli", "typographic", "openmoji", "--ink", "red", *TEXT), "'red' is no colour"),
        (("stimuli", "typographic", "openmoji", "--font-name", "X", *TEXT), "no font 'X'"),
        (("stimuli", "typographic", "bytes", *TEXT), "bytes"),
        (("ingest", "folder", LONG, "--dataset", "d", *HERE), ""),
        (("ingest", "folder", "folder", "--dataset", "../d", *HERE), "'../d'"),
        (("ingest", "folder", "folder", "--dataset", "d", "--warehouse", "bytes"), "bytes"),
        (("ingest", "folder", "folder", "--dataset", "d", "--warehouse", "nope://x"), "nope"),
        (("ingest", "folder", "folder", "--captions", "folder", "--dataset", "d", *HERE), "folder"),
        (("check", "--warehouse", "bytes"), "bytes"),
        (("check", "--warehouse", LONG), ""),
        (("check", "--warehouse", ""), ""),
        (("check", "--warehouse", "s3://"), "object store"),
        (("run", "folder"), "folder"),
        (("run", "bytes"), "bytes"),
        (("run", LONG), ""),
        (("wit-urls", "folder", "--out", "o.parquet"), "folder"),
        (("wit-urls", "bytes", "--out", "o.parquet"), "bytes"),
        (("label", "import", LONG, *HERE), ""),
        (("layers", "RN50:folder"), "folder"),
        (("check", "--warehouse", "caf\udce9"), "is not UTF-8"),
    ],
    ids=lambda value: " ".join(map(str, value))[:60] if isinstance(value, tuple) else "",
)
def test_wrong_input_is_told(place, monkeypatch, capsys, command, message):
    monkeypatch.setattr(sys, "argv", ["neurons", *map(str, command)])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 2, error
    assert message in error
    assert "Traceback" not in error

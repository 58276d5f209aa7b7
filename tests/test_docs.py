"""The commands of README and docs run and print what is shown; the site builds and asks no other host."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from waiting import LIMIT_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
TEXT = "\n".join(PAGES.values())
NOTEBOOK = ROOT / "docs/tutorial/notebook.ipynb"


class Block(NamedTuple):
    """Something that a page tells the reader to run."""

    page: str
    language: str
    code: str
    shown: str
    warehouse: str


def _blocks() -> list[Block]:
    """What is marked ``<!-- runs -->``, in order; what stands on several pages, once."""
    found: dict[str, Block] = {}
    pattern = r"<!-- runs -->\n```(bash|python)\n(.*?)```(?:\n\n```(?:text)?\n(.*?)```)?"
    for page, text in PAGES.items():
        place = re.search(r"^export NEURONS_WAREHOUSE=(\S+)$", text, re.MULTILINE)
        for language, code, shown in re.findall(pattern, text, re.DOTALL):
            block = Block(page, language, code, shown, place[1] if place else "warehouse")
            assert found.setdefault(code, block).shown == shown, (
                f"{page}: shown otherwise elsewhere"
            )
    return list(found.values())


@pytest.fixture(scope="module")
def demo_folder(plain_demo, tmp_path_factory) -> Path:
    """A folder in which the demo has run; what it printed is in ``demo.txt``."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(plain_demo / "warehouse", folder / "warehouse")
    shutil.copy(plain_demo / "demo.txt", folder)
    return folder


@pytest.fixture
def run(told, monkeypatch, capsys, demo_folder):
    """Run a block in the demo's folder and in this process, which has loaded what most of them need."""

    def call(block: Block) -> str:
        monkeypatch.chdir(demo_folder)
        monkeypatch.setenv("NEURONS_WAREHOUSE", block.warehouse)
        if block.language == "python":
            exec(compile(block.code, block.page, "exec"), {})
            return capsys.readouterr().out
        calls: list[list[str]] = []
        for word in shlex.split(block.code.replace("\\\n", ""), comments=True):
            if word == "neurons":
                calls.append([])
            else:
                calls[-1].append(word)
        return "".join(told(*words) for words in calls)

    return call


def _compare(printed: str, shown: str) -> None:
    """The last digits, and so the order of near ties, may differ between processors; the form may not.

    ``...`` stands for anything, as in doctest.
    """
    got = [line.split() for line in printed.splitlines() if line.strip()]
    expected = [line.split() for line in shown.splitlines() if line.strip()]
    assert len(got) == len(expected), printed
    first = r"\s+".join(re.escape(word).replace(r"\.\.\.", ".*") for word in expected[0])
    assert re.fullmatch(first, " ".join(got[0])), printed
    for line, form in zip(got[:2], expected[:2], strict=True):
        assert "..." in form or len(line) == len(form), printed


def _masked(text: str) -> list[str]:
    """Its lines of words, without numbers: those of tables may change places."""
    lines = (re.sub(r"\d[\d.]*", "#", line) for line in text.splitlines())
    return [line.rstrip() for line in lines if re.match(r"[A-Za-z]", line)]


def test_the_demo_prints_what_is_shown(demo_folder):
    printed = (demo_folder / "demo.txt").read_text(encoding="utf-8")
    page = PAGES["docs/tutorial/demo.md"]
    (shown,) = re.findall(r"<!-- demo -->\n```text\n(.*?)```", page, re.DOTALL)
    assert _masked(printed) == _masked(shown)
    assert len(printed.splitlines()) == len(shown.splitlines())
    (excerpt,) = re.findall(r"<!-- demo -->\n```\n(.*?)```", PAGES["README.md"], re.DOTALL)
    for line in excerpt.splitlines():
        assert line in shown.splitlines()


@pytest.mark.parametrize("block", _blocks(), ids=lambda b: f"{b.page}: {b.code[:30].strip()}")
def test_what_a_page_runs_prints_what_it_shows(run, block):
    printed = run(block)
    if block.shown:
        _compare(printed, block.shown)


def test_the_notebook_runs_and_prints_what_it_shows(demo_folder):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = [_printed(cell) for cell in notebook.cells]
    place = {"metadata": {"path": str(demo_folder)}}
    NotebookClient(notebook, timeout=LIMIT_S, resources=place).execute()
    for cell, shown in zip(notebook.cells, before, strict=True):
        if shown:
            _compare(_printed(cell), shown)
        kinds = {kind for output in cell.get("outputs", ()) for kind in output.get("data", ())}
        assert "image/png" in kinds or "plt." not in cell["source"]


def _printed(cell) -> str:
    return "".join(o["text"] for o in cell.get("outputs", ()) if o.get("name") == "stdout")


def test_the_notebook_is_committed_with_what_it_prints():
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(cell["outputs"] for cell in cells)
    assert all(output.get("name") != "stderr" for output in outputs), "it names paths of a machine"


def test_job_files_are_valid(tmp_path):
    from pipeline.base.job_file import load_config

    blocks = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        whole = block if "warehouse" in block else blocks[0] + block  # a section to add to a job
        (tmp_path / "job.toml").write_text(whole)
        job = load_config(tmp_path / "job.toml")
        assert job.extract[0].layers == ("goh2021",)


def test_every_command_and_option_that_is_shown_exists():
    from typer.main import get_command

    from pipeline.cli.app import app

    commands = get_command(app).commands
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    code = "".join(code for language, code in fences if language in ("", "bash"))
    lines = re.sub(r"\\\n\s*", "", code).splitlines()
    used = [line.strip() for line in lines if line.strip().startswith("neurons ")]
    assert len(used) > 10
    for line in used:
        for call in re.split(r"\s&&\s", re.split(r"\s#", line)[0]):
            _, name, *words = call.split()
            assert name in commands, call
            command = commands[name]
            if hasattr(command, "commands"):
                assert words[0] in command.commands, call
                command = command.commands[words[0]]
            known = {o for p in command.params for o in p.opts}
            for word in words:
                if re.match(r"--?[a-z]", word):
                    assert word in known, f"{word} in {call!r}"


def test_every_command_is_explained_somewhere():
    from typer.main import get_command

    from pipeline.cli.app import app

    for name in get_command(app).commands:
        assert f"neurons {name}" in TEXT or name == "demo", name


def test_documents_that_the_readme_names_exist():
    for target in re.findall(r"\]\(([^)h#][^)#]*)", PAGES["README.md"]):
        assert (ROOT / target).exists(), target


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 200


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site; a warning of mkdocs (a dead link, a page that no menu names) fails it."""
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_the_site_asks_no_other_host(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    loads = r"<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*?"
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for tag in re.findall(loads + r">", text):
            assert not re.search(r"""(?:src|href|data)=["']?(?:https?:)?//""", tag), (page, tag)
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text), page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text), sheet


def test_the_reference_is_made_from_the_code(site):
    from typer.main import get_command

    from pipeline.base import errors
    from pipeline.base.settings import ExtractConfig, LabelSettings
    from pipeline.cli.app import app
    from pipeline.warehouse import views

    pages = {page.stem: page.read_text(encoding="utf-8") for page in site.glob("reference/*.html")}
    for name, command in get_command(app).commands.items():
        for inner in getattr(command, "commands", {"": None}):
            assert f"neurons {name} {inner}".strip() in pages["commands"]
    for kind in (ExtractConfig, LabelSettings):
        for field in kind.__dataclass_fields__:
            assert f"<code>{field}</code>" in pages["settings"]
    for view in views.load_views():
        assert view.topic == "staging" or view.name in pages["data"]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.NeuronsError):
            assert name in pages["errors"]
    for name in ("connect", "load_clip", "unrestricted"):
        assert name in pages["python"]

"""The README's commands run, and what they print is what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory) -> Path:
    """A folder in which the demo has run."""
    folder = tmp_path_factory.mktemp("readme")
    from pipeline.jobs.demo import run_demo

    run_demo(str(folder / "warehouse"))
    return folder


def _shell(folder: Path, command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "NEURONS_WAREHOUSE": "warehouse"}
    run = subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=env, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


RUNS = re.findall(r"<!-- runs -->\n```bash\n(.*?)```\n\n```\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), RUNS, ids=lambda text: text.split("\n")[0][:30])
def test_commands_print_what_the_readme_shows(demo_folder, command, shown):
    got = [line.split() for line in _shell(demo_folder, command).splitlines()]
    expected = [line.split() for line in shown.splitlines()]
    assert len(got) == len(expected)
    assert got[0] == expected[0]
    # The last digits, and so the order of near ties, may differ between processors; the form may not.
    assert [len(line) for line in got[:2]] == [len(line) for line in expected[:2]]


def test_python_blocks_run(demo_folder):
    first, second = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    code = f"{first}\nprint(labels.num_rows, type(model).__name__, tokenizer(['a']).shape)"
    rows, kind, _ = _shell(demo_folder, f"python - <<'END'\n{code}\nEND").split(maxsplit=2)
    assert int(rows) > 0
    assert kind == "CLIP"
    code = f"{second}\nprint(len(japan), len(matrix['unit']), similar[0][0])"
    japan, values, correlation = _shell(demo_folder, f"python - <<'END'\n{code}\nEND").split()
    assert int(japan) > 0
    assert int(values) > 1000
    assert -1 <= float(correlation) <= 1


def test_the_job_file_is_valid(tmp_path):
    from pipeline.base.job_file import load_config

    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "job.toml").write_text(block)
    job = load_config(tmp_path / "job.toml")
    assert job.extract[0].layers == ("goh2021",)
    assert job.labels.label_top_k == 50


def test_every_command_and_option_in_the_readme_exists():
    from typer.main import get_command

    from pipeline.cli.main import app

    commands = get_command(app).commands
    lines = re.sub(r"\\\n\s*", "", TEXT).splitlines()
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


def test_every_command_is_in_the_readme():
    from typer.main import get_command

    from pipeline.cli.main import app

    for name in get_command(app).commands:
        assert f"neurons {name}" in TEXT or f"`{name}`" in TEXT or name == "demo"


def test_documents_that_are_named_exist():
    for target in re.findall(r"\]\(([^)h][^)]*)\)", TEXT):
        assert (ROOT / target).exists(), target

"""What the documents say of the lexicon's languages is what it has."""

import re
from pathlib import Path

import pyarrow.compute as pc
import pytest

from pipeline.concepts.coverage import count_concepts, write_coverage
from pipeline.concepts.lexicon import load_lexicon

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def counts():
    return count_concepts()


def test_the_page_has_the_table_that_the_command_prints():
    page = (ROOT / "docs/explanation/languages.md").read_text(encoding="utf-8")
    assert page.partition("<!-- coverage -->\n")[2] == write_coverage() + "\n"


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "docs/explanation/labels.md"])
def test_other_documents_agree(name, counts):
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    things = sum(min(of["animal"], of["food"], of["object"]) > 0 for of in counts.values())
    said = re.findall(r"(?:months in|phrases in) (\d+) languages", text)
    assert said == [str(len(counts))]
    assert re.findall(r"things in (\d+)\b", text) in ([], [str(things)])
    phrases = re.findall(r"of ([\d,]+) phrases", text)
    assert phrases in ([], [f"{load_lexicon().num_rows:,}"])


def test_counts_are_of_concepts_not_of_phrases(counts):
    is_it = (pc.field("language") == "de") & (pc.field("category") == "color")
    german = load_lexicon().filter(is_it).column("concept").to_pylist()
    assert counts["de"]["color"] == len(set(german)) < len(german)

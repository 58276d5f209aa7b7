"""The paper's figures on a run: one page without a network; what is missing is said, with what gives it."""

from __future__ import annotations

import re
from dataclasses import replace

import duckdb
import pytest
from markupsafe import Markup
from report_world import EVIL, assert_self_contained

from pipeline.paper.page import render_paper, show_cell
from pipeline.paper.queries import spell_out
from pipeline.paper.section import Chart, Missing, Row, Section, Subject, Table
from pipeline.paper.sections import MAKERS


@pytest.fixture
def subject(tiny_warehouse):
    from pipeline.paper.write import open_subject

    with open_subject(str(tiny_warehouse), None, None) as found:
        yield found


def test_a_run_with_none_of_it_gets_a_page_that_says_what_gives_each(subject):
    sections = [make(subject) for make in MAKERS]
    page = assert_self_contained(render_paper(subject, sections))
    for section in sections:
        assert section.title in page.text
        if section.missing is not None:
            assert section.missing.why in page.text
            assert section.missing.commands
            for command in section.missing.commands:
                assert command.startswith("neurons ")
                assert command in page.text
    assert sum(tag == "script" for tag, _ in page.tags) == 0


def test_commands_that_are_named_exist(subject, told):
    made = [make(subject).missing for make in MAKERS]
    commands = {c for missing in made if missing for c in missing.commands}
    for command in sorted(commands):
        words = re.match(
            r"neurons ([a-z]+(?: (?:typographic|stroop|words|pictures|export|import|sample))?)",
            command,
        )
        shown = told(*words[1].split(), "--help")
        for option in re.findall(r"--[a-z-]+", command):
            assert option in shown, f"{command}: no {option}"


def test_every_page_says_of_which_model_its_numbers_are(subject):
    page = assert_self_contained(render_paper(subject, [])).text
    assert subject.run.model_id in page
    assert "says nothing about OpenAI's CLIP" in page
    assert "The weights are random" in page
    theirs = replace(subject, run=replace(subject.run, model_id="RN50x4:openai@weights.pt"))
    page = assert_self_contained(render_paper(theirs, [])).text
    assert (
        f"weights from a file that was set up as that model (SHA-256 {subject.run.weights_sha256[:16]}"
        in page
    )
    assert "another model" not in page
    ours = Subject(subject.ask, subject.run, False, subject.store)
    assert "The weights are random" not in render_paper(ours, [])


def test_text_of_users_is_shown_and_never_markup(subject):
    section = Section(
        "one", EVIL, EVIL, [EVIL],
        [Row(*[EVIL] * 6)],
        [Chart(EVIL, EVIL, Markup("<svg></svg>")), Table(EVIL, [EVIL], [[EVIL]])],
        [EVIL], Missing(EVIL, [EVIL]),
    )  # fmt: skip
    assert_self_contained(render_paper(subject, [section]))


def test_queries_on_the_page_can_be_run_as_they_stand(subject):
    for section in [make(subject) for make in MAKERS]:
        for query in section.sql:
            spelled = spell_out(query, subject.ask.where)
            assert "$" not in re.sub(r"'[^']*'", "", spelled)
            subject.ask.connection.execute(spelled)


def test_a_quote_in_a_name_stays_inside_its_literal():
    said = spell_out("select $name as said", {"name": "it's"})
    assert duckdb.sql(said).fetchall() == [("it's",)]


@pytest.mark.parametrize(
    ("cell", "shown"), [(None, "–"), (1234, "1,234"), (0.123456, "0.1235"), ("a", "a")]
)
def test_a_cell_reads_as_a_person_writes_it(cell, shown):
    assert show_cell(cell) == shown


def test_a_page_is_html_and_says_so_before_it_asks(told, tiny_warehouse, tmp_path):
    said = told("paper", "--warehouse", tiny_warehouse, "--out", tmp_path / "p.pdf", code=2)
    assert "Expected .html" in said
    assert not (tmp_path / "p.pdf").exists()

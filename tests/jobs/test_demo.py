"""The demo, whole: raw shards to labels, which must name the neurons that were planted."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.base.steps import Here
from pipeline.jobs.demo import run_demo
from pipeline.nano.planted import BOTH_FACETS, load_planted
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def warehouse(plain_demo, tmp_path_factory) -> Path:
    return shutil.copytree(plain_demo / "warehouse", tmp_path_factory.mktemp("demo") / "warehouse")


@pytest.fixture(scope="module")
def demo(warehouse):
    """Run again: it does nothing anew, and says what it found."""
    return run_demo(str(warehouse), Here())


def test_the_pipelines_own_labels_name_the_planted_neurons(demo, capsys):
    planted = [p for p in load_planted() if p.scope == "concept" and p.facets == BOTH_FACETS]
    assert demo.planted_count == len(planted) >= 240
    assert demo.asserted_count == sum(p.is_asserted for p in planted) >= 180
    with capsys.disabled():
        print(
            f"\nlabels that name the planted concept: {demo.right_count} of {demo.planted_count}; "
            f"of the asserted ones {demo.asserted_right_count} of {demo.asserted_count}"
        )
    assert demo.asserted_right_count >= 0.9 * demo.asserted_count
    assert 0.2 * demo.planted_count < demo.every_form_count < demo.planted_count


def test_the_demo_tells_how_many_labels_how_many_scores_support(demo, warehouse):
    with connect(warehouse) as con:
        rows = con.execute(
            "select supported_count, measured_count from neuron_labels "
            "where dataset = 'demo' and is_labelled"
        ).fetchall()
    assert sum(count for *_, count in demo.support) == len(rows)
    assert [count for count, *_ in demo.support] == [4, 3, 2, 1, 0]
    assert max(measured for _, measured, _ in demo.support) == 4, (
        "fresh images and effects are apart"
    )


def test_permuted_concepts_label_no_more_than_q_promises(demo, warehouse):
    with connect(warehouse) as con:
        rows = con.execute(
            "select dataset, permuted_any_frac, labelled_frac, permuted_frac, permuted_repeat_count, "
            "max_q, label_score, constant_score from label_baselines order by dataset"
        ).fetchall()
    assert [row[0] for row in rows] == ["demo", "demo-attack", "demo-stroop"]
    for _, any_frac, _, permuted, repeats, max_q, *_ in rows:
        assert repeats == 100
        assert any_frac <= 4 * max_q  # max_q is expected at most; this many are very unlikely
        assert permuted < 0.001
    _, _, labelled, permuted, *_, score, constant = rows[0]
    assert labelled > 0.5 > 20 * permuted
    assert score > 0.9 > constant + 0.3


def test_labels_are_found_without_the_list(demo, warehouse):
    """The same count by plain SQL over what the pipeline wrote, nothing of the demo's own code."""
    with connect(warehouse) as con:
        rows = con.execute(
            "select unit, concept from neuron_labels where dataset = 'demo' and is_labelled"
        ).fetchall()
    found = dict(rows)
    right = [p for p in load_planted() if p.is_asserted and found.get(p.channel) == p.concept]
    assert len(right) == demo.asserted_right_count


def test_a_picture_only_neuron_does_not_answer_to_words(demo, warehouse):
    """Mean activation of each control to its own concept, as picture and as word."""
    with connect(warehouse) as con:
        means = {}
        for p in load_planted():
            if p.scope == "concept" and p.facets != BOTH_FACETS:
                for stimulus, value in con.execute(
                    """
                    select stimuli.stimulus, avg(coalesce(activations.activation, 0))
                    from stimuli
                    left join activations
                        on
                            stimuli.dataset = activations.dataset
                            and stimuli.example_id = activations.example_id
                            and activations.unit = $unit
                    where stimuli.dataset = 'demo' and stimuli.concept = $concept
                        and stimuli.stimulus in ('picture', 'word')
                        and stimuli.facet <> 'line drawing'
                    group by all
                    """,
                    {"unit": p.channel, "concept": p.concept},
                ).fetchall():
                    means.setdefault((p.facets, stimulus), []).append(value)
    average = {key: sum(values) / len(values) for key, values in means.items()}
    assert average["pictures", "picture"] > 3 * average["pictures", "word"]
    assert average["words", "word"] > 3 * average["words", "picture"]


def test_planted_neurons_pass_the_halle_berry_test_and_controls_do_not(demo, warehouse, capsys):
    """By the first candidate, chosen on the screening half; controls by any of theirs."""
    with connect(warehouse) as con:
        rows = con.execute(
            """
            select unit, concept, candidate_rank, multimodality_index, failed_facets
            from neuron_multimodality
            where dataset = 'demo' and multimodality_index is not null
            """
        ).fetchall()
        ((tested, at_90, permuted),) = con.execute(
            """
            select tested_count, multimodal_90_count, permuted_90_count
            from multimodality_summary where dataset = 'demo' and category = 'all'
            """
        ).fetchall()
    planted = {p.channel: p for p in load_planted() if p.scope == "concept"}
    both, controls = [], []
    for unit, concept, rank, index, failed in rows:
        if unit in planted and planted[unit].concept == concept:
            if planted[unit].is_asserted and rank == 1:
                both.append(index)
            elif planted[unit].facets != BOTH_FACETS:
                controls.append((planted[unit].facets, index, failed))
    share = sum(index >= 0.8 for index in both) / len(both)
    with capsys.disabled():
        print(f"\nplanted neurons with an index of 0.8: {share:.0%} of {len(both)} tested")
    assert len(both) > 100 and share > 0.8
    assert len(controls) > 5
    assert max(index for _, index, _ in controls) < 0.9
    for facets, _, failed in controls:
        assert "rendered word" not in failed or facets == "pictures"
    assert at_90 > 100 and tested > 400
    assert permuted < 2


def test_a_word_turns_what_a_blank_strip_does_not(demo, warehouse):
    with connect(warehouse) as con:
        ((words, blank),) = con.execute(
            """
            select avg(changed_frac), avg(blank_changed_frac) from typographic_attacks
            where dataset = 'demo-attack' and placement = 'strip'
            """
        ).fetchall()
        ((cells, word, ink),) = con.execute(
            "select cell_count, word_cell_count, ink_cell_count from stroop_summary"
        ).fetchall()
    assert words - blank >= 0.3
    assert cells == 42
    assert word > ink


def test_nothing_was_lost_and_the_checks_pass(demo):
    assert not [r for r in demo.checks if r.violation_count and not r.is_warning]
    assert all(", 0 rejected" in line for line in demo.lines if line.startswith("stimuli"))


def test_the_pictures_are_there(demo):
    assert [Path(sheet).name for sheet in demo.sheets] == ["demo-neurons.png", "demo-attack.png"]
    for sheet in demo.sheets:
        with Image.open(sheet) as image:
            assert image.width > 600 and image.height > 600


def test_the_command_says_that_neurons_are_trained(plain_demo):
    printed = (plain_demo / "demo.txt").read_text(encoding="utf-8")
    assert "TRAINED to stand for" in printed.splitlines()[0]
    assert "planted: Japan" in printed and "(free)" in printed
    assert "RANDOM" not in printed


def test_a_second_run_does_nothing(demo):
    told = [str(each) for each in demo.job.told]
    done = [line for line in told if "shards were done already" in line]
    assert done and all(re.search(r"\b(\d+) of \1 shards were done already", line) for line in done)


def _files(place: Path) -> dict[str, str]:
    return {
        str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in place.rglob("*")
        if file.is_file()
    }


def test_the_demos_job_file_makes_the_same_warehouse(demo, warehouse, tmp_path, told):
    """Had it anything else to make, or anything more, a file would differ: here it finds all of it done."""
    before = _files(warehouse)
    copy = tmp_path / "my.toml"
    copy.write_text(told("demo", "--print-job"))
    out = told("run", copy, "--warehouse", warehouse)
    assert len(re.findall(r"(\d+) of \1 shards were done already", out)) == 1
    assert [line.split()[0] for line in out.splitlines()[:9]] == [
        "stimuli", "stimuli", "stimuli", "extract", "similar", "attack", "stroop", "build", "check",
    ]  # fmt: skip
    assert _files(warehouse) == before

"""Attack and Stroop from shards to tables, with a random model; and their ways to fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import make_samples
from probing import (
    COLOURS,
    CONCEPTS,
    COVERED,
    MODEL,
    TEXTS,
    attack_samples,
    ingest_stimuli,
    probe_config,
    stroop_samples,
)
from scipy.stats import mannwhitneyu

from pipeline import connect
from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.settings import ClassChoice, LabelSettings
from pipeline.base.steps import Here
from pipeline.cli.probes import read_classes
from pipeline.probes.attack import ATTACK
from pipeline.probes.probe import complete_choice, run_probe
from pipeline.probes.stroop import STROOP
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check, run_violations

pytestmark = pytest.mark.slow

IMAGES = 9


@pytest.fixture(scope="module")
def probed(tmp_path_factory) -> str:
    """A warehouse with both kinds of stimuli, and both tests done."""
    folder = tmp_path_factory.mktemp("probed")
    warehouse = ingest_stimuli(
        folder, a=attack_samples(5), b=attack_samples(4, first=5), c=stroop_samples()
    )
    run_probe(ATTACK, probe_config(warehouse), ClassChoice(class_set="attack"), Here())
    run_probe(STROOP, probe_config(warehouse), ClassChoice(class_set="stroop"), Here())
    return warehouse


def test_default_classes_are_what_the_stimuli_name(probed):
    attack = complete_choice(ATTACK, probed, "d", ClassChoice())
    assert attack.classes == tuple(sorted({*CONCEPTS, "iPod", "dog"}))
    assert attack.templates == ATTACK.templates
    assert complete_choice(STROOP, probed, "d", ClassChoice()).classes == tuple(sorted(COLOURS))


def test_the_attack_table_adds_up(probed):
    with connect(probed) as connection:
        rows = connection.execute(
            """
            select class_set, attack_text, target_class, placement, image_count, blank_count,
                right_word_count, assumed_count, covered_frac,
                changed_frac + already_frac + changed_away_frac + unchanged_frac
            from typographic_attacks order by attack_text
            """
        ).fetchall()
    targets = sorted((text, concept or text) for text, concept in TEXTS.items())
    assert rows == [
        ("attack", text, target, "centre", IMAGES, IMAGES, IMAGES, 0, COVERED, 1.0)
        for text, target in targets
    ]


def test_outcomes_follow_from_the_scores(probed):
    """Every pair again, by hand, from class_scores."""
    with connect(probed) as connection:
        scores: dict[int, dict[str, float]] = {}
        for example, name, logit in connection.execute(
            "select example_id, class_name, logit from class_scores where class_set = 'attack'"
        ).fetchall():
            scores.setdefault(example, {})[name] = logit
        pairs = connection.execute(
            """
            select example_id, clean_example_id, blank_example_id, target_class, outcome,
                blank_outcome
            from typographic_pairs
            """
        ).fetchall()
    assert len(pairs) == IMAGES * len(TEXTS)
    for attacked, clean, blank, target, *outcomes in pairs:
        before, *after = (max(scores[n], key=scores[n].get) for n in (clean, attacked, blank))
        for got, now in zip(outcomes, after, strict=True):
            if before == target:
                assert got == "already"
            elif now == target:
                assert got == "changed"
            else:
                assert got == ("unchanged" if now == before else "changed_away")


def test_neurons_equal_numpy_on_what_the_run_stores(probed):
    with connect(probed) as connection:
        (units,) = connection.execute("select unit_count from layers").fetchall()[0]
        pairs = connection.execute(
            """
            select example_id, clean_example_id, outcome from typographic_pairs
            where attack_text = 'iPod'
            """
        ).fetchall()
        ids, columns, values = zip(
            *connection.execute("select example_id, unit, activation from activations").fetchall(),
            strict=True,
        )
        got = connection.execute(
            """
            select unit, clean_change, clean_change_rank, flip_auroc from typographic_neurons
            where attack_text = 'iPod' order by unit
            """
        ).fetchall()
    order = {example: place for place, example in enumerate(sorted(set(ids)))}
    matrix = np.zeros((len(order), units))
    matrix[[order[i] for i in ids], list(columns)] = values
    change = np.stack([matrix[order[a]] - matrix[order[c]] for a, c, _ in pairs])
    assert [row[0] for row in got] == list(range(units))
    np.testing.assert_allclose([row[1] for row in got], change.mean(0), atol=1e-9)
    ranks = [row[2] for row in got if row[2] is not None]
    assert sorted(ranks) == list(range(1, len(ranks) + 1))
    is_flip = np.array([outcome == "changed" for *_, outcome in pairs])
    is_stay = np.array([outcome in ("changed_away", "unchanged") for *_, outcome in pairs])
    for unit, _, _, auroc in got:
        if not is_flip.any() or not is_stay.any():
            assert auroc is None
        else:
            u = mannwhitneyu(change[is_flip, unit], change[is_stay, unit]).statistic
            assert auroc == pytest.approx(u / (is_flip.sum() * is_stay.sum()))


def test_every_stroop_cell_is_there(probed):
    with connect(probed) as connection:
        cells = connection.execute(
            "select ink_name, word_name, class_set, card_count from stroop_cells order by all"
        ).fetchall()
        (summary,) = connection.execute(
            """
            select cell_count, word_cell_count + ink_cell_count + other_cell_count,
                congruent_count, neutral_count
            from stroop_summary
            """
        ).fetchall()
    words = sorted(["", *COLOURS])
    assert cells == [(ink, word, "stroop", 1) for ink in sorted(COLOURS) for word in words]
    assert summary == (6, 6, 3, 3)


def test_marts_are_not_built_again_for_a_classification(probed):
    build(probed, LabelSettings(label_null_repeats=0))
    run_probe(
        ATTACK, probe_config(probed), ClassChoice(templates=("{}",), class_set="plain"), Here()
    )
    assert build(probed).was_current
    results = check(probed)
    assert run_violations(results) == 0
    with connect(probed) as connection:
        query = "select class_set, class_count, unclassified_count from class_sets order by all"
        assert connection.execute(query).fetchall() == [
            ("attack", 4, 0),
            ("plain", 4, 0),
            ("stroop", 3, 0),
        ]


def test_the_commands_and_a_second_time(tmp_path, told):
    warehouse = ingest_stimuli(tmp_path, a=attack_samples(3), c=stroop_samples())
    where = ("--warehouse", warehouse, "--dataset", "d", "--model", MODEL, "--device", "cpu")
    shown = told("attack", *where)
    assert "4 classes" in shown and "RANDOM" in shown
    assert [line.split()[0] for line in shown.splitlines() if "centre" in line]
    again = told("attack", *where)
    assert again == shown
    shown = told("stroop", *where, "--template", "{}")
    assert "P(word) > P(ink)" in shown and "incongruent" in shown
    files = {f: f.stat().st_mtime_ns for f in Path(warehouse).rglob("*.parquet")}
    told("stroop", *where, "--template", "{}")
    assert {f: f.stat().st_mtime_ns for f in Path(warehouse).rglob("*.parquet")} == files


def test_classes_of_a_file_and_of_the_command_line(tmp_path, probed, told):
    file = tmp_path / "classes.txt"
    file.write_text("cat\n\n dog \nhouse\ncat\n", encoding="utf-8")
    assert read_classes(["iPod", "dog"], file) == ("cat", "dog", "house", "iPod")
    where = ("--warehouse", probed, "--dataset", "d", "--model", MODEL, "--run", "r")
    said = told("attack", *where, "--classes", str(file), code=2)
    assert "1 classes that the stimuli of 'd' name are not among the 3 given: 'iPod'" in said
    said = told("attack", *where, "--classes", str(tmp_path / "none"), code=2)
    assert "cannot be read" in said


def test_a_dataset_without_such_stimuli(tmp_path, probed):
    warehouse = ingest_stimuli(tmp_path, a=make_samples(2))
    with pytest.raises(WarehouseError, match="holds no typographic stimuli"):
        run_probe(ATTACK, probe_config(warehouse), ClassChoice(), Here())
    with pytest.raises(WarehouseError, match="no dataset 'e'"):
        complete_choice(ATTACK, warehouse, "e", ClassChoice())
    with pytest.raises(ConfigError, match="not among"):
        complete_choice(STROOP, probed, "d", ClassChoice(classes=("red", "green")))

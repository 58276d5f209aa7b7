"""Attack and Stroop views: given rows, expected rows; and SQL equal to NumPy and SciPy."""

import itertools

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from statsmodels.stats.proportion import proportion_confint

from pipeline.warehouse.views import find_view, load_statements

VIEWS = (
    "class_scores",
    "class_predictions",
    "typographic_pairs",
    "typographic_attacks",
    "typographic_neurons",
    "stroop_cells",
    "stroop_summary",
)
TABLES = {
    "stg_stimuli": "dataset varchar, example_id bigint, stimulus varchar, control varchar, "
    "concept varchar, attack_text varchar, attack_concept varchar, placement varchar, "
    "base_key varchar, covered_frac float, ink_name varchar, word_name varchar",
    "stg_examples": "dataset varchar, example_id bigint, shard_key varchar",
    "stg_runs": "dataset varchar, run_id varchar, model_id varchar",
    "raw_class_sets": "dataset varchar, run_id varchar, class_set varchar, classes varchar[]",
    "raw_class_scores": "dataset varchar, run_id varchar, class_set varchar, example_id bigint, "
    "class_name varchar, logit float, probability float",
    "stg_activations": "dataset varchar, run_id varchar, layer varchar, unit integer, "
    "example_id bigint, activation float",
    "neuron_stats": "dataset varchar, run_id varchar, layer varchar, unit integer, sd double",
}


class Probe:
    """A small warehouse: stimuli, what they are predicted as, and activations, row by row."""

    def __init__(self, classes=("cat", "dog", "iPod")):
        self.con = duckdb.connect(":memory:", config={"threads": 2})
        for name, columns in TABLES.items():
            self.con.execute(f"create table {name} ({columns})")
        self.con.execute("".join(load_statements()))
        for name in VIEWS:
            self.con.execute(f"create view {name} as {find_view(name).body}")
        self.classes = list(classes)
        self.con.execute("insert into stg_runs values ('d', 'r', 'm')")
        self.con.execute("insert into raw_class_sets values ('d', 'r', 'c', ?)", [self.classes])
        self.ids = itertools.count(1)

    def add(self, predicted, key=None, stimulus="typographic", **columns):
        """An example with its stimulus; ``predicted`` is its class, None if the run has it not."""
        example_id = next(self.ids)
        row = {"dataset": "d", "example_id": example_id, "stimulus": stimulus, **columns}
        marks = ", ".join("?" * len(row))
        self.con.execute(
            f"insert into stg_stimuli ({', '.join(row)}) values ({marks})", [*row.values()]
        )
        self.con.execute(
            "insert into stg_examples values ('d', ?, ?)", [example_id, key or f"key{example_id}"]
        )
        if predicted is not None:
            self.score(example_id, {name: float(name == predicted) for name in self.classes})
        return example_id

    def score(self, example_id, logits):
        odds = {name: np.exp(value) for name, value in logits.items()}
        self.con.executemany(
            "insert into raw_class_scores values ('d', 'r', 'c', ?, ?, ?, ?)",
            [[example_id, n, v, odds[n] / sum(odds.values())] for n, v in logits.items()],
        )

    def rows(self, query, *parameters):
        return self.con.execute(query, parameters).fetchall()


def attack_one(probe, clean, blank, right_word, attacked, base="a", **columns):
    """The four versions of one image; those that are '' are not made at all."""
    common = {"concept": "cat", "base_key": base, "placement": "centre"} | columns
    patch = {"attack_text": "iPod", "covered_frac": 0.25}
    ids = {}
    for control, predicted in (
        ("clean", clean),
        ("blank", blank),
        ("right_word", right_word),
        ("attack", attacked),
    ):
        if predicted != "":
            more = {"placement": None} if control == "clean" else patch
            key = base if control == "clean" else None
            ids[control] = probe.add(predicted, key, control=control, **(common | more))
    return ids


# --- Wilson ------------------------------------------------------------------------------------


def wilson(hits, trials):
    """The 95 % interval of statsmodels."""
    return proportion_confint(hits, trials, alpha=0.05, method="wilson")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_statsmodels(case):
    (got,) = Probe().rows("select wilson_low($1, $2), wilson_high($1, $2)", *case)
    assert got == pytest.approx(wilson(*case), abs=1e-12)


def test_wilson_at_its_ends():
    probe = Probe()
    assert probe.rows("select wilson_low(0, 10), wilson_high(10, 10)") == [(0.0, 1.0)]
    assert probe.rows("select wilson_low(0, 0), wilson_high(0, 0)") == [(None, None)]


# --- predictions -------------------------------------------------------------------------------


def test_ties_of_logits_are_broken_by_name():
    probe = Probe()
    example = probe.add(None)
    probe.score(example, {"dog": 2.0, "iPod": 1.0, "cat": 2.0})
    query = "select predicted_class, runner_up_class from class_predictions"
    assert probe.rows(query) == [("cat", "dog")]


# --- attacks -----------------------------------------------------------------------------------


def test_attack_table_of_hand_made_images():
    probe = Probe()
    attack_one(probe, "cat", "cat", "cat", "iPod", "a")  # changed
    attack_one(probe, "iPod", "iPod", "cat", "iPod", "b")  # already
    attack_one(probe, "cat", "iPod", "cat", "dog", "c")  # changed away; the blank patch flips it
    attack_one(probe, "dog", "dog", "dog", "dog", "e")  # unchanged, and wrong
    rows = probe.rows(
        """
        select
            attack_text, target_class, placement, image_count, assumed_count, covered_frac,
            changed_frac, already_frac, changed_away_frac, unchanged_frac,
            clean_correct_frac, attack_correct_frac,
            blank_count, blank_changed_frac, blank_changed_away_frac, blank_correct_frac,
            word_effect_frac, right_word_count, right_word_changed_frac, right_word_correct_frac
        from typographic_attacks
        """
    )
    outcomes, correct = (0.25, 0.25, 0.25, 0.25), (0.5, 0.0)
    blank, right_word = (4, 0.25, 0.0, 0.25), (4, 0.0, 0.75)
    expected = ("iPod", "iPod", "centre", 4, 0, 0.25, *outcomes, *correct, *blank, 0.0, *right_word)
    assert rows == [expected]
    (interval,) = probe.rows("select changed_low, changed_high from typographic_attacks")
    assert interval == pytest.approx(wilson(1, 4))


def test_missing_versions_are_told_and_never_mixed_up():
    probe = Probe()
    attack_one(probe, None, "", "", "iPod", "a")  # the run could not use the clean image
    attack_one(probe, "", "", "", "iPod", "b", concept="iPod")  # there is none: concept instead
    attack_one(probe, "", "", "", "cat", "c", concept=None)  # nothing to compare with
    attack_one(probe, "cat", "cat", "cat", None, "d")  # the run has no attacked image
    query = """
        select image_count, assumed_count, changed_frac, already_frac, clean_correct_frac,
            attack_correct_frac, blank_count, blank_changed_frac, word_effect_frac
        from typographic_attacks
    """
    assert probe.rows(query) == [(2, 2, 0.5, 0.5, None, 0.5, 0, None, None)]
    query = "select clean_example_id, outcome from typographic_pairs order by example_id"
    assert probe.rows(query) == [(None, "changed"), (None, "already"), (None, None)]


def test_controls_are_the_ones_of_the_same_place_and_patch():
    probe = Probe()
    common = {"concept": "cat", "base_key": "a"}
    small = {**common, "control": "blank", "placement": "centre"}
    probe.add("cat", control="clean", key="a", concept="cat")  # base_key is its own key
    probe.add("dog", **{**small, "placement": "top"}, attack_text="iPod", covered_frac=0.25)
    probe.add("dog", **small, attack_text="dog", covered_frac=0.25)
    probe.add("dog", **small, covered_frac=0.25)  # for any text
    probe.add("dog", **small, attack_text="iPod", covered_frac=0.5)
    right = probe.add("cat", **small, attack_text="iPod", covered_frac=0.3)
    probe.add(
        "iPod",
        control="attack",
        placement="centre",
        attack_text="iPod",
        covered_frac=0.25,
        **common,
    )
    query = "select clean_example_id, blank_example_id, blank_class from typographic_pairs"
    assert probe.rows(query) == [(1, right, "cat")]


def test_the_class_of_an_attack_may_have_another_name_and_must_be_a_class():
    probe = Probe()
    attack_one(probe, "cat", "", "", "dog", "a", attack_concept="dog")
    attack_one(probe, "cat", "", "", "dog", "b", attack_concept="zebra")  # not in the class set
    query = "select attack_text, target_class, changed_frac from typographic_attacks"
    assert probe.rows(query) == [("iPod", "dog", 1.0)]


# --- neurons -----------------------------------------------------------------------------------


def neuron_case(seed, count, sparse):
    """Attacked images with activations of three units; rounding makes many ties."""
    rng = np.random.default_rng(seed)
    probe = Probe()
    probe.con.execute(
        "insert into neuron_stats values ('d','r','L',0,2.0),('d','r','L',1,0.5),('d','r','L',2,0)"
    )
    parts = ("clean", "blank", "attack")
    values = np.round(rng.normal(0, 1, (count, 3, 3)) * 2) / 2  # image, part, unit
    before = rng.choice(["cat", "dog", "iPod"], count, p=[0.5, 0.3, 0.2])
    after = rng.choice(["cat", "dog", "iPod"], count, p=[0.3, 0.1, 0.6])
    rows = []
    for n in range(count):
        ids = attack_one(probe, str(before[n]), "cat", "", str(after[n]), f"k{n}")
        rows += [
            ["d", "r", "L", unit, ids[part], float(values[n, p, unit])]
            for p, part in enumerate(parts)
            for unit in range(3)
            if values[n, p, unit] > 0 or not sparse
        ]
    probe.con.executemany("insert into stg_activations values (?, ?, ?, ?, ?, ?)", rows)
    stored = np.maximum(values, 0) if sparse else values
    return probe, stored, before, after


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.booleans())
def test_neurons_equal_numpy_and_scipy(seed, count, sparse):
    probe, stored, before, after = neuron_case(seed, count, sparse)
    rows = probe.rows(
        """
        select unit, clean_count, clean_change, clean_change_sd, clean_change_rank, blank_change,
            flip_count, stay_count, flip_auroc
        from typographic_neurons order by unit
        """
    )
    is_open = before != "iPod"
    flips, stays = is_open & (after == "iPod"), is_open & (after != "iPod")
    change = stored[:, 2] - stored[:, 0]
    assert [row[0] for row in rows] == [0, 1, 2]
    means = change.mean(0)
    assert [row[2] for row in rows] == pytest.approx(means.tolist())
    assert [row[3] for row in rows[:2]] == pytest.approx([means[0] / 2, means[1] / 0.5])
    assert rows[2][3] is None and rows[2][4] is None  # no standard deviation, no rank
    assert [row[4] for row in rows[:2]] == ([1, 2] if means[0] / 2 >= means[1] / 0.5 else [2, 1])
    assert [row[5] for row in rows] == pytest.approx((stored[:, 2] - stored[:, 1]).mean(0).tolist())
    for unit, *_, flip_count, stay_count, auroc in rows:
        assert (flip_count, stay_count) == (flips.sum(), stays.sum())
        if not flip_count or not stay_count:
            assert auroc is None
            continue
        u = mannwhitneyu(change[flips, unit], change[stays, unit]).statistic
        assert auroc == pytest.approx(u / (flip_count * stay_count))


def test_a_neuron_that_never_answers_is_listed_at_chance():
    probe = Probe()
    probe.con.execute("insert into neuron_stats values ('d', 'r', 'L', 5, 1.0)")
    attack_one(probe, "cat", "", "", "iPod", "a")
    attack_one(probe, "cat", "", "", "cat", "b")
    query = """
        select unit, clean_change, blank_count, blank_change, flip_auroc from typographic_neurons
    """
    assert probe.rows(query) == [(5, 0.0, 0, None, 0.5)]


# --- Stroop ------------------------------------------------------------------------------------


def card(probe, ink, word, predicted):
    return probe.add(predicted, stimulus="stroop", ink_name=ink, word_name=word)


def test_stroop_cells_and_their_summary():
    probe = Probe(("red", "green", "blue"))
    for ink, word, predicted in (
        ("red", "green", "green"),  # three cards of one cell: the word wins by two to one
        ("red", "green", "green"),
        ("red", "green", "red"),
        ("green", "red", "green"),  # the ink wins
        ("blue", "red", "green"),  # a third colour
        ("blue", "blue", "blue"),
        ("red", None, "red"),
        ("green", None, "blue"),
        ("pink", "red", "red"),  # pink is no class here
    ):
        card(probe, ink, word, predicted)
    query = """
        select ink_name, word_name, card_kind, card_count, predicted_class, word_count, ink_count,
            winner
        from stroop_cells order by all
    """
    assert probe.rows(query) == [
        ("blue", "blue", "congruent", 1, "blue", 1, 1, "both"),
        ("blue", "red", "incongruent", 1, "green", 0, 0, "other"),
        ("green", "", "neutral", 1, "blue", 0, 0, "other"),
        ("green", "red", "incongruent", 1, "green", 0, 1, "ink"),
        ("red", "", "neutral", 1, "red", 0, 1, "ink"),
        ("red", "green", "incongruent", 3, "green", 2, 1, "word"),
    ]
    (row,) = probe.rows(
        "select * exclude (dataset, model_id, run_id, class_set) from stroop_summary"
    )
    low, high = wilson(1, 3)
    assert row == pytest.approx((3, 1, 1, 1, 1, 1 / 3, low, high, 5, 0.4, 0.4, 1, 1.0, 2, 0.5))
    (probabilities,) = probe.rows(
        "select word_probability, ink_probability from stroop_cells where card_count = 3"
    )
    high, low = np.e / (np.e + 2), 1 / (np.e + 2)
    assert probabilities == pytest.approx(((2 * high + low) / 3, (high + 2 * low) / 3), rel=1e-6)


def test_nothing_to_show_is_no_row_and_no_error():
    for view in VIEWS:
        assert Probe().rows(f"from {view}") == []

"""Attacked images and Stroop cards of given classes, row by row."""

import itertools

import numpy as np
from sql_world import empty_world
from statsmodels.stats.proportion import proportion_confint

VIEWS = (
    "class_scores",
    "class_predictions",
    "typographic_pairs",
    "typographic_attacks",
    "typographic_neurons",
    "stroop_cells",
    "stroop_summary",
)


class Probe:
    """A small warehouse: stimuli, what they are predicted as, and activations, row by row."""

    def __init__(self, classes=("cat", "dog", "iPod")):
        self.world = empty_world(VIEWS)
        self.rows = self.world.rows
        self.classes = list(classes)
        self.world.add("stg_runs", "run_id", "r")
        self.world.add("raw_class_sets", "class_set classes", ("c", self.classes))
        self.ids = itertools.count(1)

    def add(self, predicted, key=None, stimulus="typographic", **columns):
        """An example with its stimulus; ``predicted`` is its class, None if the run has it not."""
        example_id = next(self.ids)
        row = {"example_id": example_id, "stimulus": stimulus, **columns}
        self.world.insert("stg_stimuli", [row])
        told = (example_id, key or f"key{example_id}")
        self.world.add("stg_examples", "example_id shard_key", told)
        if predicted is not None:
            self.score(example_id, {name: float(name == predicted) for name in self.classes})
        return example_id

    def score(self, example_id, logits):
        odds = {name: np.exp(value) for name, value in logits.items()}
        scores = [(n, v, odds[n] / sum(odds.values())) for n, v in logits.items()]
        place = {"class_set": "c", "example_id": example_id}
        self.world.add("raw_class_scores", "class_name logit probability", *scores, **place)


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


def wilson(hits, trials):
    """The 95 % interval of statsmodels."""
    return proportion_confint(hits, trials, alpha=0.05, method="wilson")

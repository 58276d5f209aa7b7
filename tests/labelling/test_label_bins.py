"""Probabilities by bins of activation: samples, settings, and the published neuron."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from labels import write_csv
from scipy.stats import binomtest

from bench.data import synthetic_output, write_run
from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.labelling.files import read_labels
from pipeline.labelling.read_back import import_labels
from pipeline.labelling.sheet import export_sheet
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron


def test_a_constant_neuron_has_nothing_to_sample(tmp_path):
    values = torch.ones(20, 1, dtype=torch.float16)
    write_run(str(tmp_path / "w"), values, 20, synthetic_output(1))
    with connect(tmp_path / "w") as connection:
        neuron = find_neuron(connection, "synthetic", 0)
        with pytest.raises(WarehouseError, match="the same for every image"):
            export_sheet(connection, Store(tmp_path / "w"), neuron, tmp_path / "sheet")


def test_bins_are_a_setting_that_is_checked():
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="sd_bin_width"):
            LabelSettings(sd_bin_width=wrong)
    with pytest.raises(ConfigError, match="sd_bin_offset"):
        LabelSettings(sd_bin_offset=float("nan"))


# Goh et al. 2021, the Trump neuron: 651 images labelled by hand, in ten bins of activation.
LEFT = [-40 + 15.5 * n for n in range(10)]
COUNTS = [24, 86, 92, 80, 57, 71, 77, 88, 62, 14]
PUBLISHED = [0, 0.023, 0.033, 0.275, 0.632, 0.817, 0.935, 0.977, 1, 1]
SD = 2.19


@pytest.mark.slow
def test_the_published_trump_neuron(tmp_path):
    """A neuron with that standard deviation and those images; its labels come as a CSV."""
    rng = np.random.default_rng(0)
    labelled = np.concatenate(
        [left + rng.uniform(0.5, 15, count) for left, count in zip(LEFT, COUNTS, strict=True)]
    )
    rest = rng.normal(size=400_000 - len(labelled))
    rest *= np.sqrt((SD**2 * 400_000 - (labelled**2).sum()) / (rest**2).sum())
    values = rng.permutation(np.concatenate([labelled, rest])).astype(np.float16)
    order = {float(np.float16(value)): n for n, value in enumerate(labelled)}
    assert len(order) > 600  # some float16 coincide: told apart by position below
    output = replace(synthetic_output(1), store="all")
    place = tmp_path / "warehouse"
    write_run(str(place), torch.from_numpy(values)[:, None].clone(), 200_000, output)

    bins = np.floor((values.astype(np.float64) - LEFT[0]) / 15.5).astype(int)
    is_labelled = np.zeros(len(values), bool)
    lines = []
    for n, (count, share) in enumerate(zip(COUNTS, PUBLISHED, strict=True)):
        members = np.flatnonzero(bins == n)
        assert len(members) >= count
        for place_in_bin, i in enumerate(rng.permutation(members)[:count]):
            is_labelled[i] = True
            example_id = ((i // 200_000) << 20) + i % 200_000
            label = "related" if place_in_bin < round(share * count) else "other"
            lines.append({"example_id": str(example_id), "label": label})
    assert is_labelled.sum() == 651
    path = write_csv(tmp_path / "labels.csv", [lines[i] for i in rng.permutation(651)])
    with connect(place) as connection:
        ((sd,),) = connection.execute("select sd from neuron_stats").fetchall()
        neuron = find_neuron(connection, "synthetic", 0)
        done = import_labels(connection, Store(place), neuron, read_labels(path), "goh2021")
    assert sd == pytest.approx(SD, rel=1e-3)
    assert (done.read_count, done.imported_count, done.unbinned_count) == (651, 651, 0)

    bins_of_the_paper = LabelSettings(sd_bin_width=15.5 / sd, sd_bin_offset=-40 / sd)
    with connect(place, bins_of_the_paper) as connection:
        rows = connection.execute(
            """
            select
                sd_bin, bin_left_sd * $sd, sample_count, hit_count, probability,
                probability_low, probability_high
            from conditional_probabilities
            where origin = 'human' and labeller = 'goh2021' and category = 'related'
            order by sd_bin
            """,
            {"sd": sd},
        ).fetchall()
        whole = connection.execute(
            "select sd_bin, count(*), min(sampled_frac) from neuron_samples group by all order by all"
        ).fetchall()
    assert [row[0] for row in rows] == list(range(10))
    assert [row[1] for row in rows] == pytest.approx(LEFT)
    assert [row[2] for row in rows] == COUNTS
    assert [round(row[4], 3) for row in rows] == PUBLISHED
    for _, _, trials, hits, _, low, high in rows:
        exact = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    # what a sheet of this neuron would draw from: every bin, the strongest whole
    assert [sd_bin for sd_bin, *_ in whole] == list(range(10))
    assert [(count, frac) for _, count, frac in whole][8:] == [(62, 1.0), (14, 1.0)]

"""Runs that keep no activations, or a share of them: what they answer, and what they say that they cannot."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from cut_world import RECTIFIED, SIGNED, make_cut_world

import pipeline
from pipeline.base import warn
from pipeline.base.settings import LabelSettings
from pipeline.upkeep.build import build
from pipeline.upkeep.compact import compact
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three built runs over 134 images: ``whole``, ``share`` (``top:0.1``) and ``bare`` (``none``)."""
    place = make_cut_world(tmp_path_factory.mktemp("cut"))
    build(str(place), LabelSettings(label_null_repeats=3))
    return str(place)


@pytest.fixture(scope="module")
def con(warehouse):
    with connect(warehouse) as connection:
        yield connection


@pytest.fixture
def said(caplog):
    """What was said in this test."""
    warn._said.clear()
    caplog.set_level(logging.WARNING, "pipeline")
    return lambda: [record.getMessage() for record in caplog.records]


def rows(con, query, **values):
    return con.execute(query, values).fetchall()


def test_the_manifests_of_a_bare_run_name_no_activations(warehouse):
    for run, has in (("whole", True), ("share", True), ("bare", False)):
        for path in Path(warehouse).glob(f"dataset=d/run_id={run}/manifests/*.json"):
            files = json.loads(path.read_text())["files"]
            tables = {file["table"] for file in files}
            assert ("activations" in tables) == has
            assert {"shard_stats", "shard_histograms", "shard_top", "shard_samples"} <= tables
            assert "embeddings" in tables
    assert not list(Path(warehouse).glob("dataset=d/run_id=bare/activations/**/*.parquet"))


@pytest.mark.parametrize(
    "view",
    [
        *("neuron_stats", "neuron_histograms", "top_examples", "neuron_samples", "layer_axes"),
        *("conditional_probabilities", "neuron_enrichments", "image_embeddings"),
    ],
)
def test_what_partials_answer_is_the_same_whatever_is_kept(con, view):
    columns = [name for name, *_ in rows(con, f"describe {view}")]
    run = "and run_id = $run" if "run_id" in columns else ""
    found = [
        rows(
            con,
            f"select * {'exclude (run_id)' if run else ''} from {view} where true {run} order by all",
            **({"run": name} if run else {}),
        )
        for name in ("whole", "share", "bare")
    ]
    assert found[0]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("layer", [RECTIFIED, SIGNED])
def test_a_share_is_the_strongest_of_each_neuron_in_each_shard(con, layer):
    """NumPy over the whole run's activations: 7 of 67 examples, of equal ones the first; where the layer is
    rectified none that is not above zero."""
    per_shard: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for unit, example, value in rows(
        con,
        "select unit, example_id, activation from activations where run_id = 'whole' and layer = $l",
        l=layer,
    ):
        per_shard.setdefault((unit, example >> 20), []).append((-value, example))
    wanted = sorted(
        (unit, example, -value)
        for (unit, _), kept in per_shard.items()
        for value, example in sorted(kept)[:7]
    )
    found = rows(
        con,
        """
        select unit, example_id, activation from activations
        where run_id = 'share' and layer = $l order by all
        """,
        l=layer,
    )
    assert found == wanted
    (ranked,) = rows(con, "select count(rank2) from activations where run_id = 'share'")
    assert ranked == (0,)


def test_labels_rest_on_enrichment_alone_and_the_rest_is_not_tested(con):
    for run in ("share", "bare"):
        ((labelled, units, known),) = rows(
            con,
            """
            select
                count(*) filter (where is_labelled), count(*),
                count(score) + count(z) + count(margin) + count(agreement) + count(auroc_concept)
                + count(soft_wpmi_concept) + count(runner_up_score),
            from neuron_labels where run_id = $run
            """,
            run=run,
        )
        assert 0 < labelled <= units == 384
        assert known == 0
        columns = "auroc, direction, z, p_value, q_value, mean_difference_sd, soft_wpmi"
        ((pairs, *known),) = rows(
            con,
            f"""
            select count(*), {", ".join(f"count({c})" for c in columns.split(", "))}
            from neuron_concepts where run_id = $run
            """,
            run=run,
        )
        assert pairs and not any(known)
        assert not rows(con, "from neuron_facets where run_id = $run limit 1", run=run)
    # where AUROC had no say in the choice either, the verdict is that of the whole run
    verdicts = """
        select layer, unit, enrichment_concept, is_labelled, q_value, top_count, lift
        from neuron_labels where run_id = $run order by all
    """
    assert rows(con, verdicts, run="bare") == rows(con, verdicts, run="share")
    ((same, all_),) = rows(
        con,
        """
        select count(*) filter (where whole.concept = bare.concept), count(*)
        from neuron_labels as whole
        inner join neuron_labels as bare using (dataset, layer, unit)
        where whole.run_id = 'whole' and bare.run_id = 'bare' and whole.is_labelled
        """,
    )
    assert same > 0.9 * all_ > 0
    ((bare_null, bare_score, constant),) = rows(
        con,
        """
        select permuted_count, label_score, constant_concept from label_baselines
        where run_id = 'bare'
        """,
    )
    assert bare_null is not None
    assert (bare_score, constant) == (None, None)


def test_checks_hold_and_see_what_is_too_much_or_too_little(warehouse, con, tmp_path):
    assert not rows(con, "from check_activation_counts")
    with connect(warehouse, use_marts=False) as fresh:
        assert not rows(fresh, "from check_activation_counts")
        lacking = """
            create or replace table found as
            select * replace (
                case when run_id = 'share' then 'none' when run_id = 'bare' then 'top:0.1' else store end
                as store
            ) from raw_layers;
            drop table raw_layers; alter table found rename to raw_layers;
        """
        fresh.execute(lacking)
        counts = rows(
            fresh,
            """
            select run_id, min(expected_count), max(expected_count), max(found_count)
            from check_activation_counts group by all order by all
            """,
        )
        assert [(run, most, found) for run, _, most, found in counts] == [
            ("bare", 14, 0),
            ("share", 0, 14),
        ]


@pytest.mark.parametrize(
    "query",
    [
        "from activations limit 1",
        "select * from neuron_facets where run_id = 'bare'",
        "select count(*) from neuron_labels",
        "with a as (from neuron_neighbours) select count(*) from a",
    ],
)
def test_a_question_that_takes_activations_says_which_runs_lack_them(told, said, warehouse, query):
    told("sql", "--warehouse", warehouse, query)
    bare, share = said()
    assert bare.startswith("d, run bare: The run keeps no activations (--store none). What takes")
    assert "only the strongest 0.1 of each neuron's activations (--store top:0.1)" in share
    assert "not tested" in bare and bare.endswith("neurons extract --store auto, as another run.")


def test_a_question_that_takes_none_says_nothing(told, said, warehouse):
    for view in ("top_examples", "neuron_stats", "neuron_samples", "runs", "layers"):
        told("sql", "--warehouse", warehouse, f"select count(*) from {view}")
    told("top", "--warehouse", warehouse, "--run", "whole", "--layer", RECTIFIED, "--unit", 0)
    assert said() == []


def test_python_is_told_when_it_opens_the_warehouse(warehouse, said):
    pipeline.connect(warehouse).close()
    assert [line.split(":")[0] for line in said()] == ["d, run bare", "d, run share"]


def test_commands_say_what_they_lack(told, said, warehouse):
    place = ("--warehouse", warehouse, "--run", "bare")
    ((unit,),) = rows(
        connect(warehouse),
        """
        select min(unit) from neuron_labels
        where run_id = 'bare' and layer = $l and concept = 'red'
        """,
        l=RECTIFIED,
    )
    neuron = ("--layer", RECTIFIED, "--unit", unit)
    top = told("top", *place, *neuron, "-k", 30)
    assert "The run keeps the 20 strongest of each neuron, and all are shown." in top
    refused = told("like", *place, *neuron, code=2)
    assert "A correlation takes all activations" in refused and "--store none" in refused
    other = told("like", "--warehouse", warehouse, "--run", "whole", *neuron, "-k", 1)
    assert other.count("Not compared: the run keeps no activations of it, or a share.") == 4
    assert "A sum of neurons takes" in told("sum", "red", *place, code=2)
    assert "A correlation takes" in told("find", "red", "--by", "similarity", *place, code=2)
    found = told("find", "red", "--by", "concepts", *place)
    assert "By enrichment among top examples, where no AUROC was tested." in found
    assert "red (color)" in found
    assert len(said()) == 1


def test_a_card_and_a_report_say_what_was_not_tested(told, warehouse, tmp_path, said):
    place = ("--warehouse", warehouse, "--run", "bare")
    told("card", *place, "--layer", RECTIFIED, "--unit", 0, "--out", tmp_path / "card.html")
    card = (tmp_path / "card.html").read_text()
    assert "The run keeps no activations (--store none)." in card
    assert card.count("not tested") >= 3
    assert "None of 3" not in card
    told("report", *place, "--out", tmp_path / "report.html")
    report = (tmp_path / "report.html").read_text()
    assert "The run keeps no activations (--store none)." in report
    assert "by enrichment alone" in report and "None of 3" not in report
    assert "No neuron is labelled" not in report


def test_compaction_gives_a_share_no_ranks(warehouse, tmp_path):
    place = tmp_path / "warehouse"
    shutil.copytree(warehouse, place)
    compact(str(place))
    with connect(place) as before, connect(warehouse) as after:
        for query in (
            "select * exclude (rank2) from activations order by all",
            "select run_id, layer, unit, concept, q_value from neuron_labels order by all",
        ):
            assert rows(before, query) == rows(after, query)
        assert rows(
            before, "select count(rank2) > 0 from activations group by run_id order by all"
        ) == [
            (False,),
            (True,),
        ]

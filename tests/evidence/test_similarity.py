"""The model's own reading of its images: equal to CLIP by hand, resumable, and its own model's only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from damaging import flip
from textures import write_textures

import pipeline
from pipeline.base.errors import ConfigMismatchError, WarehouseError
from pipeline.base.settings import (
    CONCEPT_TEMPLATES,
    ExtractConfig,
    IngestConfig,
    IngestStep,
    SimilarityConfig,
)
from pipeline.base.storage import Store
from pipeline.cli.app import main
from pipeline.concepts.facets import FACET_CLASSES
from pipeline.evidence.concept_scores import MIN_STORED
from pipeline.evidence.similarity import score_similarity
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_runs

pytestmark = pytest.mark.slow


TEMPLATES = CONCEPT_TEMPLATES[:2]
"""Of two the mean is taken as of more; each is two thousand texts."""


def config_of(place):
    return SimilarityConfig(str(place), "textures", "r", templates=TEMPLATES, device="cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("similarity")
    tars = write_textures(folder / "tars")
    place = folder / "warehouse"
    ingest(IngestConfig(str(place), "textures"), IngestStep("webdataset", (str(tars),)))
    extract(ExtractConfig(str(place), "textures", "nano", ("goh2021",), run="r", device="cpu"))
    return place


@pytest.fixture(scope="module")
def scored(place):
    return place, score_similarity(config_of(place))


def test_scores_are_clips_own_softmax_over_all_concepts(scored):
    place, done = scored
    model, _, tokenizer = pipeline.load_clip("nano")
    with connect(place) as con:
        names = [n for (n,) in con.execute(
            "select concept from raw_concept_embeddings order by concept"
        ).fetchall()]  # fmt: skip
        known = {
            n for (n,) in con.execute("select concept from lexicon where rule is null").fetchall()
        }
        ids, images = zip(
            *con.execute(
                "select example_id, embedding from image_embeddings order by 1"
            ).fetchall(),
            strict=True,
        )
        rows = con.execute(
            "select example_id, concept, probability from raw_concept_scores"
        ).fetchall()
    assert known <= set(names)
    assert done.concept_count == len(names)
    assert len(rows) == done.row_count > 0
    with torch.inference_mode():
        texts = sum(
            model.encode_text(tokenizer([t.replace("{}", n) for n in names]), normalize=True)
            for t in TEMPLATES
        )
        texts = torch.nn.functional.normalize(texts, dim=1)
        vectors = torch.nn.functional.normalize(torch.tensor(images), dim=1)
        scale = model.logit_scale.exp()
        likely = (scale * vectors @ texts.T).softmax(1).numpy()
    expected = {
        (ids[i], names[j]): likely[i, j]
        for i, j in zip(*(likely >= MIN_STORED).nonzero(), strict=True)
    }
    got = {(i, c): p for i, c, p in rows}
    borderline = set(expected.keys() ^ got.keys())
    assert all(abs(expected.get(k, got.get(k)) - MIN_STORED) < 1e-4 for k in borderline)
    for key in expected.keys() & got.keys():
        assert got[key] == pytest.approx(expected[key], abs=1e-4)


def test_facets_are_scored_too(scored):
    place, _ = scored
    with connect(place) as con:
        rows = con.execute(
            "select facet, facet_origin, score from example_facets where run_id = 'r'"
        ).fetchall()
        (classes,) = con.execute("select classes from class_sets").fetchall()[0]
        (count,) = con.execute(
            "select count(*) from examples where duplicate_of is null"
        ).fetchall()[0]
    assert tuple(classes) == FACET_CLASSES
    assert len(rows) == count
    assert {origin for _, origin, _ in rows} == {"similarity"}
    assert all(1 / len(FACET_CLASSES) <= score <= 1 for *_, score in rows)


def test_a_second_time_does_nothing_and_other_prompts_do_it_anew(scored):
    place, _ = scored
    config = config_of(place)
    before = sorted(place.rglob("concept_scores/*.parquet"))
    again = score_similarity(config)
    assert again.skipped_shard_count == again.shard_count == 3
    assert sorted(place.rglob("concept_scores/*.parquet")) == before
    other = SimilarityConfig(str(place), "textures", "r", templates=("a {}",), device="cpu")
    assert score_similarity(other).skipped_shard_count == 0
    with connect(place) as con:
        (counts,) = con.execute(
            "select count(*), count(distinct concept) from raw_concept_embeddings"
        ).fetchall()
    assert counts[0] == counts[1], "the new embeddings stand in place of the old"
    score_similarity(config)


def test_what_the_record_names_is_not_written_again(scored):
    """Shards that come later are scored against the embeddings that the others were scored against."""
    place, _ = scored
    store, config = Store(place), config_of(place)
    (path,) = place.glob("dataset=textures/run_id=r/similarity.json")
    rel = str(path.relative_to(place))
    record = store.read_json(rel)
    (prompts,) = (file for file in record["files"] if file["ordinal"] == -1)
    written = (place / prompts["path"]).stat()
    last = max(record["files"], key=lambda file: file["ordinal"])
    before = (place / last["path"]).read_bytes()
    left = [file for file in record["files"] if file != last]
    store.write_record(rel, record | {"files": left}, with_copy=True)
    assert score_similarity(config).skipped_shard_count == 2
    after = (place / prompts["path"]).stat()
    assert (after.st_ino, after.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert (place / last["path"]).read_bytes() == before
    flip(place / prompts["path"])
    store.write_record(rel, record | {"files": left}, with_copy=True)
    with pytest.raises(WarehouseError, match="damaged") as caught:
        score_similarity(config)
    assert "neurons repair" in caught.value.hint
    repair(place)
    assert audit_warehouse(store, deep=True).damages == []
    assert (place / last["path"]).read_bytes() == before


def test_another_model_is_refused(scored):
    place, _ = scored
    config = SimilarityConfig(
        str(place), "textures", "r", model="RN-demo:random", templates=("{}", "a {}"), device="cpu"
    )
    with pytest.raises(ConfigMismatchError, match="not the model of this run"):
        score_similarity(config)


def test_runs_are_found_or_listed(place):
    with connect(place) as con:
        assert [(one.dataset, one.run_id) for one in find_runs(con)] == [("textures", "r")]
        with pytest.raises(WarehouseError, match="There are: --dataset textures --run r"):
            find_runs(con, "textures", "other")


def test_the_command(place, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["neurons", "similarity", "--warehouse", str(place)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert "textures, run r: " in capsys.readouterr().out


def test_what_the_model_finds_is_a_concept_by_similarity(scored):
    place, _ = scored
    with connect(place) as con:
        rows = con.execute(
            "select example_id, concept from run_concepts where origin = 'similarity'"
        ).fetchall()
        scores = con.execute(
            "select example_id, concept from raw_concept_scores "
            "inner join stg_examples using (dataset, example_id) cross join settings "
            "where probability >= similarity_min_score and duplicate_of is null"
        ).fetchall()
    assert {tuple(row) for row in rows} == {tuple(row) for row in scores}
    assert np.all([bool(concept) for _, concept in rows])

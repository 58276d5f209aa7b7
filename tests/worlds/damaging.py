"""A warehouse with every kind of file, and ways to damage it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipeline.tables.checked import MEMORY


def make_full_warehouse(source: Path, place: Path) -> Path:
    """Indexed, extracted and built before; attacked, read by its model, labelled and compacted here."""
    from pipeline.base.effect_settings import AblationConfig, EffectConfig
    from pipeline.base.facet_settings import FacetProbeConfig
    from pipeline.base.figure_settings import FigureConfig
    from pipeline.base.settings import SimilarityConfig
    from pipeline.base.storage import Store
    from pipeline.base.support_settings import SupportConfig
    from pipeline.base.visualise_settings import VisualiseConfig
    from pipeline.effects.ablate import measure_ablations
    from pipeline.effects.run import measure_effects
    from pipeline.evidence.similarity import score_similarity
    from pipeline.figures.run import measure_figures
    from pipeline.labelling.files import read_labels
    from pipeline.labelling.read_back import import_labels
    from pipeline.support.run import measure_support
    from pipeline.upkeep.compact import compact
    from pipeline.visualise.facet_run import train_facet_probes
    from pipeline.visualise.run import visualise_neurons
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_neuron

    shutil.copytree(source, place)
    _attack(place)
    (run,) = place.glob("dataset=textures/run_id=*")
    where = {"warehouse": str(place), "dataset": "textures", "run": run.name[7:], "device": "cpu"}
    few = {
        "units": (1, 9),
        "layer": "visual.layer3.0",
        "hidden": 2,
        "shown": 1,
        "levels": (0.0, 2.0),
    }
    measure_effects(EffectConfig(**where, **few))
    tried = {"layer": "visual.layer3.0", "counts": (1, 4), "draws": 2, "images": 2}
    measure_ablations(AblationConfig(**where, **tried))
    words = {"layer": "visual.layer3.0", "images": 1, "controls": 2, "sets": ()}
    measure_support(SupportConfig(**where, **words, fonts=("font_caladea",), size_px=64))
    pets = "select example_id from texts where text like 'A cat%' or text like 'A dog%'"
    probe = {"layer": "visual.layer3.0", "facets": ("pet",), "shown": pets}
    train_facet_probes(FacetProbeConfig(**where, **probe))
    drawn = {"layer": "visual.layer3.0", "units": (1, 9), "images": 2, "steps": 2}
    visualise_neurons(VisualiseConfig(**where, **drawn))
    measure_figures(FigureConfig(**where, layer="visual.layer3.0", words=("cat", "dog")))
    # Last of them: with it labels are stale, and the others would wait seconds for them.
    bare = ("{}",)
    score_similarity(SimilarityConfig(str(place), "textures", run.name[7:], templates=bare))
    labels = place.parent / "labels.csv"
    labels.write_text("example_id,label\n0,cat\n1,dog\n")
    with connect(place) as connection:
        neuron = find_neuron(connection, "visual.layer3.0", 0)
        import_labels(connection, Store(place), neuron, read_labels(labels), "ann")
    compact(str(place))
    return place


def _attack(place: Path) -> None:
    """One shard more, of images with a word on them: between its two classes the untrained model does not tell
    well, and some images flip. Their texts, for the text tower, are what they show."""
    from making import write_tar
    from probing import attack_samples

    from pipeline.base.settings import ClassChoice, ExtractConfig, IngestConfig, IngestStep
    from pipeline.base.steps import Here
    from pipeline.base.storage import Store
    from pipeline.probes.attack import ATTACK
    from pipeline.probes.probe import run_probe
    from pipeline.sources.ingest import ingest
    from pipeline.upkeep.build import build
    from pipeline.warehouse.connect import connect

    samples = attack_samples(10, concepts=("bird",), texts={"iPod": None, "Apple": "iPod"})
    for sample in samples:
        record = json.loads(str(sample["json"], "utf-8"))
        text = {"language": "en", "text_kind": "caption", "text": record["stimulus"]["concept"]}
        sample["json"] = json.dumps(record | {"texts": [text | {"page_title": None}]}).encode()
    more = write_tar(place.parent / "tars/00003.tar", samples)
    with connect(place) as con:
        tars = [url for (url,) in con.execute("select url from shards order by url").fetchall()]
    ingest(IngestConfig(str(place), "textures"), IngestStep("webdataset", (*tars, str(more))))
    (run,) = place.glob("dataset=textures/run_id=*")
    config = Store(place).read_json(f"{run.relative_to(place)}/run.json")["config"]
    again = {"warehouse": str(place), "run": run.name[7:], "layers": tuple(config["layers"])}
    run_probe(ATTACK, ExtractConfig(**config | again), ClassChoice(templates=("{}",)), Here())
    shutil.rmtree(place / "marts")  # no record names what the first build made
    build(place)


def copy_of(warehouse: Path, tmp_path: Path) -> Path:
    """A warehouse of one's own that nobody has checked yet."""
    place = tmp_path / "warehouse"
    shutil.copytree(warehouse, place, ignore=shutil.ignore_patterns(MEMORY))
    return place


def flip(file: Path, at: int | None = None) -> None:
    """Flip one bit, in the middle if it is not said where."""
    data = bytearray(file.read_bytes())
    at = 8 * (len(data) // 2) if at is None else at
    data[at // 8] ^= 1 << at % 8
    file.write_bytes(data)


def double_activations(place: Path, ordinal: int) -> float:
    """As if another model had read this shard: each stored activation twice what it was.

    Returns:
        Their sum.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from pipeline.base.storage import Store
    from pipeline.tables.manifest_files import (
        read_manifest,
        write_manifest,
    )
    from pipeline.tables.manifests import make_entry

    store, (run,) = Store(place), place.glob("dataset=*/run_id=*")
    folder, total = str(run.relative_to(place)), 0.0
    manifest = read_manifest(store, folder, ordinal)
    assert manifest is not None
    files = []
    for entry in manifest["files"]:
        if entry["table"] == "activations":
            path, table = entry["path"], pq.read_table(place / entry["path"], partitioning=None)
            column = table.schema.get_field_index("activation")
            doubled = pc.multiply(table["activation"].cast("float32"), 2)
            total += pc.sum(doubled).as_py()
            field = table.schema.field(column)
            table = table.set_column(column, field, doubled.cast(field.type))
            written = store.write_parquet(path, table)
            entry = make_entry("activations", path, len(table), written, entry.get("layer"))
        files.append(entry)
    write_manifest(store, folder, {**manifest, "files": files})
    return total

"""Wrong input on the command line: what is wrong, where, and the way out; never a traceback."""

from __future__ import annotations

import pytest


def test_a_wrong_query_shows_what_is_wrong_and_where_to_look(tiny_warehouse, invoke):
    _, err = invoke("sql", "--warehouse", tiny_warehouse, "select nothing from examples", code=2)
    assert err.startswith("WarehouseError: The query does not work:")
    assert "nothing" in err
    assert "describe neuron_labels" in err


@pytest.mark.parametrize(
    "layer", ["x' or 1=1 --", "'; drop view examples; --", '"; select 1; --', "$run"]
)
def test_arguments_are_values_never_sql(tiny_warehouse, invoke, layer):
    _, err = invoke("top", "--warehouse", tiny_warehouse, "--layer", layer, "--unit", 0, code=2)
    assert "has a layer" in err
    out, _ = invoke(
        "sql", "--warehouse", tiny_warehouse, "select count(*) n from examples", "--format", "csv"
    )
    assert out.split() == ["n", "120"]


def test_check_exits_1_when_something_does_not_add_up(tiny_warehouse, tmp_path, invoke):
    import shutil

    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    next(place.glob("dataset=*/run_id=*/embeddings/00001.parquet")).unlink()
    out, _ = invoke("check", "--warehouse", place, code=1)
    assert "FAIL  check_files: 1" in out
    assert "is gone" in out


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("extract", "--model", "RN-demo:random", "--layer", "visual.layer5"),
         ("HookError: layer 'visual.layer5' is not in RN-demo:random", "Closest:", "neurons layers")),
        (("extract", "--model", "RN51:openai", "--layer", "goh2021"),
         ("ModelError: open_clip has no architecture 'RN51'", "Closest: 'RN50'")),
        (("extract", "--model", "RN50", "--layer", "goh2021"),
         ("ModelError: Model 'RN50' does not say which weights", "RN50:random")),
        (("extract", "--model", "RN-demo:random", "--layer", "goh2021", "--device", "cuda:9"),
         ("DeviceError: Device 'cuda:9' is not available", "--device cpu")),
        (("extract", "--model", "RN-demo:random", "--layer", "goh2021", "--batch-size", "0"),
         ("ConfigError: batch_size is 0", "a whole number, 1 or more")),
        (("extract", "--model", "RN-demo:random", "--layer", "goh2021:median"),
         ("HookError: 'median'", "max|mean|center|cls")),
    ],
)  # fmt: skip
def test_input_errors_exit_2_with_a_way_out(tiny_warehouse, invoke, arguments, messages):
    here = ("--warehouse", tiny_warehouse, "--dataset", "textures")
    _, err = invoke(*arguments, *here, code=2)
    for message in messages:
        assert message in err


def test_an_unknown_dataset_names_the_known_ones(tiny_warehouse, invoke):
    _, err = invoke(
        "extract", "--warehouse", tiny_warehouse, "--dataset", "txtures",
        "--model", "RN-demo:random", "--layer", "goh2021", code=2,
    )  # fmt: skip
    assert "no dataset 'txtures'" in err
    assert "textures" in err


def test_an_empty_warehouse_says_how_to_begin(tmp_path, invoke):
    for command in (("build",), ("check",), ("compact",), ("sql", "select 1")):
        _, err = invoke(*command, "--warehouse", tmp_path, code=2)
        assert "neurons ingest" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("warehouse = 1 =", "is not TOML"),
        ('dataset = "t"', "does not say which warehouse"),
        ('warehouse = "w"', "does not say which dataset"),
        ('warehouse = "w"\ndataset = "t"\nextrakt = 1', "Did you mean 'extract'"),
        ('warehouse = "w"\ndataset = "t"\n[extract]\nmodel = "x"', "lacks layers"),
        ('warehouse = "w"\ndataset = "t"\n[ingest]\npaths = []', "[ingest] lacks source"),
        ('warehouse = "w"\ndataset = "t"\n[extract]\nmodel="x"\nlayers=[]\nbatch=3', "batch_size"),
        ('warehouse = "w"\ndataset = "t"\n[labels]\nlabel_top_k = "ten"', "must be a whole number"),
    ],
)
def test_a_wrong_configuration_file_says_what_is_wrong(tmp_path, invoke, text, message):
    config = tmp_path / "job.toml"
    config.write_text(text)
    _, err = invoke("run", config, code=2)
    assert err.startswith("ConfigError: ")
    assert message in err


def test_a_missing_configuration_file(tmp_path, invoke):
    _, err = invoke("run", tmp_path / "none.toml", code=2)
    assert "cannot be read" in err

"""The training flow, for a few steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.train_nano import main, make_parser, train_nano_flow
from pipeline.base.settings import TrainConfig

pytestmark = pytest.mark.flows


def test_the_flow_ships_a_model(server, tmp_path):
    folder = Path(train_nano_flow(str(tmp_path), is_smoke=True))
    assert (folder / "open_clip_model.safetensors").stat().st_size < 12_000_000


def test_the_command_has_an_option_for_every_setting(capsys):
    given = vars(make_parser().parse_args(["there", "--steps", "3", "--precision", "bfloat16"]))
    assert given.pop("folder") == "there"
    assert TrainConfig(**given) == TrainConfig(steps=3, precision="bfloat16")
    for wrong in (["--steps", "0"], ["--learning-rate", "nan"], ["--precision", "float16"]):
        with pytest.raises(SystemExit) as stop:
            main(["there", *wrong])
        assert stop.value.code == 2
        assert wrong[0].strip("-").replace("-", "_") in capsys.readouterr().err.replace("-", "_")

"""Label sheets, filled in as people would."""

from __future__ import annotations

import csv
from pathlib import Path

from typer.testing import CliRunner

from pipeline.base.errors import NeuronsError
from pipeline.cli.app import app
from pipeline.warehouse.connect import connect

LAYER = "visual.layer4.0.act3"


def run(place, *words, status=0):
    result = CliRunner().invoke(app, [*map(str, words), "--warehouse", str(place)])
    if status == 0:
        assert result.exception is None, result.exception
        return result.output
    assert isinstance(result.exception, NeuronsError)
    return str(result.exception)


def lively_unit(place) -> int:
    """The unit whose samples fill the most bins."""
    with connect(place) as connection:
        return connection.execute(
            "select unit from neuron_samples inner join layers using (dataset, run_id, layer) "
            "where layer_path = $layer group by unit order by count(distinct sd_bin) desc, unit limit 1",
            {"layer": LAYER},
        ).fetchall()[0][0]


def fill(sheet: Path, answers) -> list[dict[str, str]]:
    """Fill the sheet as ``answers(item)`` says."""
    path = sheet / "labels.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = answers(int(row["item"]))
    write_csv(path, rows)
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def export(place, folder, per_bin=4, seed=0, unit=None):
    unit = lively_unit(place) if unit is None else unit
    words = ("label", "export", LAYER, unit, "--out", folder, "--per-bin", per_bin, "--seed", seed)
    return run(place, *words)

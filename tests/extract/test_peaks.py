"""Where an activation is the largest: the place that NumPy finds in the map, in every table that has it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from running import LAYER, MODEL, make_picture, read_run, run_extract

from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer, LayerSpec, find_peaks
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip, load_clip
from pipeline.tables.runs import read_run as read_record_of_run
from pipeline.warehouse.connect import connect

PICTURES = [*range(23), *range(5), *range(100, 134), 103, *range(200, 204), 300, 400]
IDS = [*range(23), *(n + (1 << 20) for n in range(40)), *(n + (2 << 20) for n in (0, 1, 2, 3, 5))]
IDS += [3 << 20]


@settings(max_examples=100)
@given(
    seed=st.integers(0, 1 << 32),
    layout=st.sampled_from(["channels_first", "channels_last", "tokens", "tokens_first"]),
    kind=st.sampled_from([torch.float32, torch.bfloat16]),
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    levels=st.integers(1, 6),
    is_text=st.booleans(),
    is_channels_last=st.booleans(),
)
def test_a_peak_is_numpys_argmax(
    seed: int,
    layout: Any,
    kind: torch.dtype,
    rows: int,
    columns: int,
    levels: int,
    is_text: bool,
    is_channels_last: bool,
) -> None:
    """Of few levels there are many ties; the first in reading order is the one."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, levels - 3, (3, rows * columns, 5)).astype(np.float32)
    tensor, ends = torch.from_numpy(values).to(kind), None
    if layout.startswith("channels"):
        tensor = tensor.unflatten(1, (rows, columns))
        if layout == "channels_first":
            tensor = tensor.permute(0, 3, 1, 2)
            if not is_channels_last:
                tensor = tensor.contiguous()
    else:
        if is_text:
            last = rng.integers(0, rows * columns, 3)
            values[np.arange(rows * columns) > last[:, None]] = -np.inf
            ends = torch.from_numpy(last)
        if layout == "tokens_first":
            tensor = tensor.transpose(0, 1).contiguous()
    layer = Layer(LayerSpec("x"), "visual", "", layout, 5, False)
    maxima, peaks = find_peaks(tensor, layer, ends)
    assert peaks.numpy().tolist() == values.argmax(1).tolist()
    assert maxima.float().numpy().tolist() == values.max(1).tolist()


def test_a_large_map_has_room() -> None:
    layer = Layer(LayerSpec("x"), "visual", "", "tokens", 1, False)
    for cells, kind in ((256, torch.uint8), (257, torch.int16), (40_000, torch.int32)):
        tensor = torch.zeros(1, cells, 1)
        tensor[0, -1] = 1
        peaks = find_peaks(tensor, layer)[1]
        assert (peaks.dtype, peaks.item()) == (kind, cells - 1)


@pytest.mark.parametrize("cells", [1, 49, 255, 256, 700])
def test_a_peak_among_what_is_no_number_is_a_place_of_the_map(cells: int) -> None:
    """Such an example is refused later: until then nothing may break."""
    layer = Layer(LayerSpec("x"), "visual", "", "tokens", 3, False)
    tensor = torch.zeros(2, cells, 3)
    tensor[0, cells // 2, 1] = torch.nan
    maxima, peaks = find_peaks(tensor, layer)
    assert maxima.isnan().tolist() == [[False, True, False], [False] * 3]
    assert int(peaks.max()) < cells and int(peaks.min()) >= 0


@settings(max_examples=100)
@given(seed=st.integers(0, 1 << 32), cells=st.integers(200, 1000), levels=st.integers(1, 200))
def test_a_peak_of_a_large_map_is_numpys_argmax(seed: int, cells: int, levels: int) -> None:
    """Also where it is in the last stretch, which may be a short one."""
    values = np.random.default_rng(seed).integers(0, levels, (3, cells, 4)).astype(np.float32)
    values[0, -1] = levels
    layer = Layer(LayerSpec("x"), "visual", "", "tokens", 4, False)
    maxima, peaks = find_peaks(torch.from_numpy(values), layer)
    assert peaks.numpy().tolist() == values.argmax(1).tolist()
    assert maxima.numpy().tolist() == values.max(1).tolist()


@torch.inference_mode()
def map_of(clip: Clip) -> np.ndarray[Any, Any]:
    """What the model's own module gets, ``[N, H * W, U]``."""
    seen = []
    module = clip.model.visual.layer2[0].act3
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    images = [clip.preprocess(Image.open(BytesIO(make_picture(n)))) for n in PICTURES]
    clip.model.encode_image(torch.stack(images))
    handle.remove()
    return seen[0].flatten(2).transpose(1, 2).numpy()


@pytest.mark.parametrize(
    "changes", [{}, {"batch_size": 5}], ids=["in order", "other batches and order"]
)
def test_a_run_keeps_the_place_of_every_maximum(dataset: Path, changes: dict[str, Any]) -> None:
    """Whatever the batches and the order of shards."""
    settings: dict[str, Any] = {"preprocess": "exact", "store": "all", **changes}
    if changes:
        run_extract(dataset, ordinals=[2, 3], **settings)
    run_extract(dataset, **settings)
    places = dict(zip(IDS, map_of(load_clip(MODEL)), strict=True))
    for table in ("shard_top", "shard_samples"):
        columns = ("unit", "example_id", "peak")
        rows = zip(*(read_run(dataset, table)[c].to_pylist() for c in columns), strict=True)
        count = 0
        for unit, example_id, peak in rows:
            row = places[example_id][:, unit]
            # another size of batch rounds otherwise: a place may win that is as high but for that
            assert row[peak] >= row.max() - 1e-5 * np.abs(row).max()
            if (row >= row[peak] - 1e-4 * np.abs(row).max()).sum() == 1:
                assert peak == row.argmax()
                count += 1
        assert count > 1000


def test_the_size_of_the_grid_stands_with_the_layer(dataset: Path, vit: Clip, resnet: Clip) -> None:
    run_extract(dataset, layers=(LAYER, "visual.layer2.0.act3:input:mean"))
    with connect(dataset / "warehouse") as connection:
        grids = connection.execute(
            "select pooling, grid_rows, grid_columns, token_count from layers order by pooling"
        ).fetchall()
        peaks = connection.execute(
            "select pooling, count(*) > 0, count(peak_row), max(peak_row), max(seen_y_frac) "
            "from top_examples join layers using (dataset, run_id, layer) group by all order by pooling"
        ).fetchall()
    (_, rows, columns, _) = grids[0]
    assert grids == [("max", rows, columns, None), ("mean", rows, columns, None)] and rows > 1
    assert peaks[1] == ("mean", True, 0, None, None)
    assert peaks[0][2] > 0 and peaks[0][3] < rows and peaks[0][4] <= 1 - 0.5 / rows
    block = "visual.transformer.resblocks.1"
    text, image = "transformer.resblocks.0", resolve_layers(vit, (block,))[0]
    assert (image.grid, image.token_count, image.prefix_tokens) == ((3, 3), 10, 1)
    of_text = resolve_layers(vit, (text,))[0]
    assert (of_text.grid, of_text.token_count) == (None, 16)
    of_map = resolve_layers(resnet, ("visual.layer1.0.act3",))[0]
    assert of_map.token_count is None and of_map.grid == (16, 16)
    assert not resolve_layers(vit, ("visual",))[0].has_peaks


def test_a_run_of_an_earlier_version_learns_the_size_of_its_grid(dataset: Path) -> None:
    """Shards of before stay without places; those that are added to it have them."""
    run_extract(dataset, ordinals=[0])
    store, folder = Store(dataset / "warehouse"), "dataset=d/run_id=r"
    record = read_record_of_run(store, folder)
    for layer in record["layers"]:
        del layer["grid"], layer["token_count"], layer["prefix_tokens"]
    store.write_record(f"{folder}/run.json", record, with_copy=True)
    with connect(dataset / "warehouse") as connection:
        assert connection.execute("select grid_rows from layers").fetchall() == [(None,)]
        assert connection.execute("select count(peak_row) from top_examples").fetchall() == [(0,)]
    run_extract(dataset)
    with connect(dataset / "warehouse") as connection:
        ((rows,),) = connection.execute("select grid_rows from layers").fetchall()
        ((count,),) = connection.execute("select count(peak_row) from top_examples").fetchall()
    assert rows > 1 and count > 0

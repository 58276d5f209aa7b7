"""``neurons visualise``: what a picture costs, and whether the neuron answers to it more than to any image.

Planted neurons of nano draw at the defaults. Beside each answer stands that to a picture that another one drew.
"""

from __future__ import annotations

import io
import statistics

import torch
from PIL import Image

from bench.timing import Report, Row, measure
from pipeline.base.visualise_settings import VisualiseChoice
from pipeline.clip.hooks import Layer, capture_layers
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip, load_clip
from pipeline.nano.planted import load_planted
from pipeline.visualise.optimise import Painter, Subject
from pipeline.visualise.pictures import make_opaque, write_png


def report(quick: bool) -> Report:
    """Draw with a few neurons, one at a time, in one thread."""
    torch.set_num_threads(1)
    clip = load_clip("nano")
    (layer,) = resolve_layers(clip, ("goh2021",))
    units = [planted.channel for planted in load_planted()][: 2 if quick else 12]
    subjects = [
        Subject(str(unit), unit, torch.nn.functional.one_hot(torch.tensor(unit), 768).float())
        for unit in units
    ]
    yield f"pictures that {len(units)} planted neurons of nano draw, 64 px"
    for steps in (8, 16) if quick else (192, 384):
        painter = Painter(clip, layer, VisualiseChoice(steps=steps))
        files: list[bytes] = []

        def draw(painter: Painter = painter, files: list[bytes] = files) -> None:
            for subject in subjects:
                ((drawn,),) = painter.draw([subject])
                files.append(write_png(drawn, ""))

        cost = measure(draw)
        yield Row(f"{steps} steps", cost.cpu_s / len(units), "CPU s a picture", "", "at most 5")
        answers = _answers(clip, layer, files)[:, units]
        own = answers.diag().tolist()
        others = answers[~torch.eye(len(units), dtype=torch.bool)].tolist()
        note = f"to another's picture {statistics.median(others):.2f}"
        yield Row(f"{steps} steps", statistics.median(own), "activation, median", note)


@torch.inference_mode()
def _answers(clip: Clip, layer: Layer, files: list[bytes]) -> torch.Tensor:
    """``[N, unit_count]`` of image files."""
    images = [Image.open(io.BytesIO(make_opaque(one))) for one in files]
    with capture_layers(clip, (layer,)) as capture:
        clip.model.encode_image(torch.stack([clip.preprocess(one) for one in images]))
        return capture.pooled[layer.name].float()

"""Do pictures show what was planted? Planted neurons of nano draw, and their pictures are shown to nano anew.

A picture is taken up as a fresh image. Does the neuron answer to it more than to all but one in a thousand of
the demo's images, does the facet's probe call it by its facet, and does the neuron's own concept come first
among all concepts that nano knows? Beside it stand pictures that random directions of the layer draw, judged
as if the neuron had, and pictures that a probe with shuffled weights steers, judged by the real one.

A picture that a probe steered is called by that probe what it was steered to, so others judge too: probes on
the layer below it and on the layer above, which steered nothing.

``python -m bench.planted_pictures --warehouse DEMO --sheet docs/planted-pictures.png`` prints the table of the
documents and draws their sheet.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.__main__ import show
from bench.timing import Report, Row
from pipeline.base.errors import WarehouseError
from pipeline.base.facet_settings import FacetProbeConfig
from pipeline.base.settings import CONCEPT_TEMPLATES
from pipeline.base.visualise_settings import VisualiseChoice
from pipeline.clip.hooks import capture_layers
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.clip.zero_shot import embed_classes
from pipeline.extract.decode import normalise
from pipeline.nano.planted import BOTH_FACETS, PlantedNeuron, load_planted
from pipeline.visualise.facet_probes import FacetProbe, read_facet_probe
from pipeline.visualise.facet_run import train_facet_probes
from pipeline.visualise.optimise import Lower, Painter, Subject
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_run

LAYER = "visual.layer4.0.act3:input:max"
FACETS = ("rendered word", "colour drawing", "line drawing")
JUDGED = {
    "visual.layer2": "the layer below",
    "visual.layer4": "the layer above",
}
"""Layers of the judges."""
COUNT, CONTROLS = 40, 8
"""Neurons that draw; and random directions, and neurons that a shuffled probe steers."""
AT_ONCE = 20
SEED = 0
ROW = 20
"""Pictures in a row of the sheet."""


@dataclass(frozen=True)
class Known:
    """What the demo's run knows of the layer's neurons, and the probes of its facets."""

    sd: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    quantile: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    """0.999 quantile of each unit."""
    probes: dict[str, FacetProbe]
    """What steers, by facet."""
    judges: dict[tuple[str, str], FacetProbe]
    """By facet and layer; without those that tell too few stimuli right to be used at all."""


@dataclass(frozen=True)
class Seen:
    """What nano says of pictures."""

    activations: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    """``[N, units]``."""
    means: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
    """Of each probes' layer, by name: ``[N, channels]``."""
    first: list[str]
    """The concept that each is likest to."""


def choose_neurons(count: int) -> list[PlantedNeuron]:
    """Some of the planted and asserted neurons, by the seed; in order of their concepts."""
    known = [
        one
        for one in load_planted()
        if one.is_asserted and one.scope == "concept" and one.facets == BOTH_FACETS
    ]
    places = np.random.default_rng(SEED).permutation(len(known))[:count]
    return sorted((known[place] for place in places), key=lambda one: one.concept)


def learn(warehouse: str, images: int = 400, judged: Sequence[str] = tuple(JUDGED)) -> Known:
    """What the demo's run in a warehouse knows; its probes are trained if they are not there.

    Args:
        warehouse: The demo's.
        images: Of each facet, that they are trained on at most.
        judged: Layers of judges.
    """
    with connect(warehouse) as connection:
        run = find_run(connection, "demo")
    steering = FacetProbeConfig(
        warehouse=warehouse,
        dataset="demo",
        run=run.run_id,
        facets=FACETS,
        images=images,
        device="cpu",
    )
    train_facet_probes(steering)
    names = {(facet, layer): f"{facet} at {layer}" for facet in FACETS for layer in judged}
    for (facet, layer), name in names.items():
        shown, others = (_query(how, facet, images) for how in ("=", "<>"))
        train_facet_probes(
            replace(steering, facets=(name,), probe_layer=layer, shown=shown, others=others)
        )
    with connect(warehouse) as connection:
        rows = connection.execute(
            "select sd, quantile_999 from neuron_stats where dataset = 'demo' order by unit"
        ).fetchall()

        def read(name: str) -> FacetProbe:
            return read_facet_probe(connection, "demo", run.run_id, LAYER, name)

        probes, judges = {facet: read(facet) for facet in FACETS}, {}
        for key, name in names.items():
            with suppress(WarehouseError):  # too poor to judge
                judges[key] = read(name)
    sd, quantile = (np.array(column) for column in zip(*rows, strict=True))
    return Known(sd, quantile, probes, judges)


def _query(how: str, facet: str, images: int) -> str:
    """Stimuli that are of a facet, or of others: of each as many."""
    return (
        f"select example_id from stimuli where dataset = 'demo' and facet {how} '{facet}' qualify "
        f"row_number() over (partition by facet order by md5(example_id::varchar)) <= {images}"
    )


class Studio:
    """Draws on nano, and shows it pictures.

    Args:
        known: Of `learn`.
        choice: How to draw.
    """

    def __init__(self, known: Known, choice: VisualiseChoice) -> None:
        self.known, self.choice, self.clip = known, choice, load_clip("nano")
        lower = next(iter(known.probes.values())).probe_layer
        judges = {probe.probe_layer for probe in known.judges.values()} - {lower}
        self.layer, self.lower, *self._judged = resolve_layers(
            self.clip, (LAYER, lower, *sorted(judges))
        )
        self.concepts = sorted({one.concept for one in load_planted() if one.scope == "concept"})
        self._texts = torch.as_tensor(embed_classes(self.clip, self.concepts, CONCEPT_TEMPLATES))

    def draw(
        self, subjects: Sequence[Subject], facet: str = "", is_shuffled: bool = False
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Pictures ``[N, H, W, 3]``, one of each subject."""
        lower = None
        if facet:
            probe = self.known.probes[facet]
            weight = probe.weight
            if is_shuffled:
                weight = np.random.default_rng(SEED).permutation(weight)
            lower = Lower(self.lower, torch.from_numpy(weight), probe.bias)
        painter = Painter(self.clip, self.layer, replace(self.choice, facet=facet), lower)
        batches = (subjects[n : n + AT_ONCE] for n in range(0, len(subjects), AT_ONCE))
        drawn = [one.pixels for batch in batches for (one,) in painter.draw(batch)]
        return np.stack(drawn)

    @torch.inference_mode()
    def look(self, pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Seen:
        """Show nano pictures ``[N, H, W, 3]`` of its own size."""
        pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        spec = ImageSpec.from_model(self.clip.model)
        layers = (self.layer, self.lower, *self._judged)
        with capture_layers(self.clip, layers) as capture:
            embedded = self.clip.model.encode_image(normalise(pixels, spec), normalize=True)
            pooled = {name: found.numpy() for name, found in capture.pooled.items()}
        likest = (embedded @ self._texts.T).argmax(1).tolist()
        names = [self.concepts[place] for place in likest]
        return Seen(pooled.pop(self.layer.name), pooled, names)

    def neuron(self, unit: int) -> Subject:
        """A neuron, in SD of the run."""
        weight = torch.zeros(self.layer.unit_count)
        weight[unit] = 1
        return Subject(str(unit), unit, weight, float(self.known.sd[unit]))

    def direction(self, number: int) -> Subject:
        """A random direction among the units, each in SD of the run."""
        drawn = np.random.default_rng([SEED, number]).normal(size=self.layer.unit_count)
        weight = drawn / np.linalg.norm(drawn) / np.maximum(self.known.sd, 1e-6)
        return Subject(f"direction {number}", None, torch.tensor(weight, dtype=torch.float32))

    def above(self, seen: Seen, units: Sequence[int]) -> float:
        """Share of pictures to which the neuron answers more than to one in a thousand images."""
        own = seen.activations[np.arange(len(units)), units]
        return float((own > self.known.quantile[list(units)]).mean())

    def called(self, seen: Seen, facet: str) -> float:
        """Share of pictures that the probe calls by the facet."""
        return call(self.known.probes[facet], seen)


def call(probe: FacetProbe, seen: Seen) -> float:
    """Share of pictures that a probe calls by its facet."""
    return float((probe.probability(seen.means[probe.probe_layer]) > 0.5).mean())


def report(studio: Studio, neurons: Sequence[PlantedNeuron], sheet: Path | None) -> Report:
    """The three shares of each facet, and of none, beside their controls.

    Args:
        studio: On the demo's warehouse.
        neurons: Which draw.
        sheet: Where the pictures of all facets go, if anywhere.
    """
    few = neurons[:: len(neurons) // min(CONTROLS, len(neurons))][:CONTROLS]
    units, few_units = ([one.channel for one in some] for some in (neurons, few))
    subjects, few_subjects = (list(map(studio.neuron, some)) for some in (units, few_units))
    directions = [studio.direction(number) for number in range(len(few))]
    yield (
        f"{len(neurons)} planted neurons of nano draw; {len(few)} random directions; "
        f"{len(few)} neurons steered by a shuffled probe"
    )
    drawn = {facet: studio.draw(subjects, facet) for facet in FACETS}
    if sheet:
        write_sheet(sheet, list(drawn.values()))
    drawn["no facet"] = studio.draw(subjects)
    for what, pictures in drawn.items():
        seen, facet = studio.look(pictures), what if what in FACETS else ""
        random = studio.look(studio.draw(directions, facet))
        note = f"of random directions {studio.above(random, few_units):.2f}"
        yield Row(f"{what}: above all but 0.1 %", studio.above(seen, units), "", note, "0.95")
        if facet:
            shuffled = studio.look(studio.draw(few_subjects, facet, is_shuffled=True))
            plain = studio.called(studio.look(drawn["no facet"]), facet)
            note = f"shuffled probe {studio.called(shuffled, facet):.2f}, not steered {plain:.2f}"
            yield Row(
                f"{what}: the probe calls it so", studio.called(seen, facet), "", note, "0.95"
            )
            for (told, layer), judge in studio.known.judges.items():
                if told == facet:
                    plain = call(judge, studio.look(drawn["no facet"]))
                    note = f"not steered {plain:.2f}, accuracy {judge.accuracy:.2f}"
                    title = f"{what}: so does one on {JUDGED[layer]}"
                    yield Row(title, call(judge, seen), "", note)
        right, chance = (
            float(np.mean([one == known.concept for one, known in zip(names, some, strict=True)]))
            for names, some in ((seen.first, neurons), (random.first, few))
        )
        note, target = f"of random directions {chance:.2f}", "0.80" * (facet == FACETS[0])
        yield Row(f"{what}: its concept first of {len(studio.concepts)}", right, "", note, target)


def write_sheet(
    path: Path, bands: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]
) -> None:
    """Pictures of each facet in as many rows as they need, with a line between facets; 64 colours."""
    rows = []
    for drawn in bands:
        side = drawn.shape[1]
        band = drawn.reshape(-1, ROW, side, side, 3).swapaxes(1, 2)
        whole = band.reshape(-1, ROW * side, 3)
        rows.append(np.pad(whole, ((0, 4), (0, 0), (0, 0)), constant_values=255))
    sheet = Image.fromarray(np.concatenate(rows)[:-4])
    sheet.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draw, judge, print."""
    parser = argparse.ArgumentParser(prog="bench.planted_pictures", description=__doc__)
    parser.add_argument("--warehouse", required=True, help="the demo's; probes are added to it")
    parser.add_argument("--count", type=int, default=COUNT, help="neurons; by default 40")
    parser.add_argument("--sheet", type=Path, help="PNG file for the pictures of all facets")
    given = parser.parse_args()
    studio = Studio(learn(given.warehouse), VisualiseChoice())
    for line in report(studio, choose_neurons(given.count), given.sheet):
        show(line)


if __name__ == "__main__":
    main()

"""What the layers of one drawing share: the run, its model, the images that a spectrum is measured on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import cached_property

import duckdb
import torch

from pipeline.base.errors import HookError
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store
from pipeline.base.visualise_settings import VisualiseConfig
from pipeline.clip.hooks import Layer
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip
from pipeline.evidence.classify import load_run_model
from pipeline.extract.again import decoder_of_run
from pipeline.extract.images import Images
from pipeline.extract.stream import Decoder
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import RunRecord, read_run
from pipeline.visualise.facet_probes import FacetProbe, read_facet_probe
from pipeline.visualise.lower_layer import choose_probe_layer
from pipeline.visualise.optimise import Lower, Painter, canvas_size
from pipeline.visualise.parametrise import measure_spectrum
from pipeline.visualise.transform import resize

SPECTRUM_IMAGES = 256
"""Images of the run that the spectrum of MACO is measured on."""

METHOD = 1
"""Changes when the same settings draw another picture."""

_WHO = (
    *("warehouse", "dataset", "run", "layer", "units", "labelled", "directions"),
    *("batch_size", "model", "device"),
)
"""Fields that say who draws and where, and not what is drawn."""


class Work:
    """A drawing on one run: what its layers share.

    Args:
        store: The warehouse.
        connection: Of ``pipeline.connect``.
        config: What is asked.
        progress: Told of every step.
    """

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        config: VisualiseConfig,
        progress: ProgressCallback,
    ) -> None:
        self.store, self.connection, self.config = store, connection, config
        self.progress = progress
        self.folder = run_folder(config.dataset, config.run)
        self.run: RunRecord = read_run(store, self.folder)

    @cached_property
    def clip(self) -> Clip:
        """The run's model."""
        return load_run_model(self.run, self.config.model, self.config.device)

    @cached_property
    def decoder(self) -> Decoder:
        """What prepares images as the run did."""
        identity = self.run["identity"]
        return decoder_of_run(self.store, self.config.dataset, identity, self.clip)

    @cached_property
    def spectrum_ids(self) -> list[int]:
        """Examples that the spectrum is measured on, ascending; drawn at random among distinct images."""
        rows = self.connection.execute(
            """
            select example_id from stg_run_examples
            inner join stg_examples using (dataset, example_id)
            where dataset = $dataset and run_id = $run_id and not is_duplicate
            order by md5($seed || example_id::varchar), example_id
            limit $count
            """,
            {
                "dataset": self.config.dataset,
                "run_id": self.config.run,
                "seed": f"{self.config.seed}/",
                "count": SPECTRUM_IMAGES,
            },
        ).fetchall()
        return sorted(example_id for (example_id,) in rows)


class LayerWork:
    """What the subjects of a layer share.

    Args:
        work: The drawing.
        layer: Its name.

    Raises:
        HookError: No lower layer can be chosen, and one is needed.
        WarehouseError: There is no such facet probe, or it is too poor.
    """

    def __init__(self, work: Work, layer: str) -> None:
        self.work, self.config = work, work.config
        (self.layer,) = resolve_layers(work.clip, (layer,))
        self.probe = self._read_probe()
        self.lower = self._choose_lower()
        self.size = canvas_size(ImageSpec.from_model(work.clip.model), self.config.size_px)
        """Height and width of a picture in pixels."""
        self.deciding = {k: v for k, v in asdict(work.config).items() if k not in _WHO}
        """The settings that decide a picture, but for who draws it."""
        self.settings = self._digest()
        """Hash of all that decides it."""

    def _read_probe(self) -> FacetProbe | None:
        one = self.config
        if not one.facet:
            return None
        name = self.layer.name
        return read_facet_probe(self.work.connection, one.dataset, one.run, name, one.facet)

    def _choose_lower(self) -> Layer | None:
        clip, config = self.work.clip, self.config
        if self.probe:
            return resolve_layers(clip, (self.probe.probe_layer,))[0]
        if config.images == 1 or not config.diversity:
            return None
        try:
            return choose_probe_layer(clip, self.layer.name, config.lower_layer)
        except HookError as error:
            raise HookError(
                error.message,
                "Pictures of one neuron are told apart by a lower layer. Name one: --lower-layer PATH; or "
                "draw them without: --diversity 0.",
            ) from error

    def _digest(self) -> str:
        chosen = {**self.deciding, "size_px": self.size}
        chosen["lower_layer"] = self.lower.name if self.lower else ""
        if not self.probe:
            del chosen["facet_strength"]
        if self.config.images == 1:
            del chosen["diversity"]
        if self.layer.spec.pooling != "max":
            del chosen["spread"]
        weight = hashlib.sha256(self.probe.weight.tobytes()).hexdigest() if self.probe else ""
        seen = self.work.spectrum_ids if self.config.parametrisation == "maco" else []
        sha256 = self.work.run["identity"]["weights_sha256"]
        return digest([METHOD, sha256, self.layer.name, chosen, weight, seen])

    @cached_property
    def painter(self) -> Painter:
        """What draws.

        Raises:
            WarehouseError: An image that a spectrum is measured on is gone.
        """
        clip, lower = self.work.clip, None
        if self.lower:
            lower = Lower(self.lower)
            if self.probe:
                lower = Lower(self.lower, torch.from_numpy(self.probe.weight), self.probe.bias)
        is_maco = self.config.parametrisation == "maco"
        return Painter(
            *(clip, self.layer, self.config, lower), self._spectrum() if is_maco else None
        )

    def _spectrum(self) -> torch.Tensor:
        work = self.work
        spec = ImageSpec.from_model(work.clip.model)
        mean, std = (torch.tensor(one)[:, None, None] for one in (spec.mean, spec.std))
        where = (work.connection, work.store, self.config.dataset, work.run["identity"], work.clip)
        images = Images(*where, work.spectrum_ids)
        pixels = ((image.cpu() * std + mean).clamp(0, 1) for image in images.values())
        return measure_spectrum([resize(one, self.size, True)[0].clamp(0, 1) for one in pixels])

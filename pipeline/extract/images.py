"""Examples as the model of a run takes them in, for what is asked of it after the extraction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import duckdb
import torch

from pipeline.base.errors import WarehouseError
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip
from pipeline.extract.again import decoder_of_run
from pipeline.extract.decode import normalise
from pipeline.tables.runs import RunIdentity
from pipeline.warehouse.images import find_places, read_image


class Images(Mapping[int, torch.Tensor]):
    """By example id: normalised pixels ``[1, 3, H, W]``, where the model is. Pixels are kept in main memory
    as they were decoded.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        dataset: Whose examples.
        run: How the run prepared its images; what only a GPU decodes is decoded the fast way elsewhere.
        clip: The model.
        ids: All that will be asked for.

    Raises:
        WarehouseError: An image is not where it was when the run read it.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        store: Store,
        dataset: str,
        run: RunIdentity,
        clip: Clip,
        ids: Iterable[int],
    ) -> None:
        self._spec, self._clip = ImageSpec.from_model(clip.model), clip
        decoder = decoder_of_run(store, dataset, run, clip)
        self._pixels: dict[int, torch.Tensor] = {}
        places = find_places(connection, dataset, ids)
        for example_id, place in sorted(places.items()):
            data = decoder.decode(read_image(store, *place))
            pixels, (error,) = decoder.assemble([data])
            if error is not None:
                raise WarehouseError(
                    f"Example {example_id} of {dataset!r} cannot be decoded here: {error}.",
                    "The run decoded it: decode it as the run did, on the same kind of device.",
                )
            self._pixels[example_id] = pixels.cpu()

    def __getitem__(self, example_id: int) -> torch.Tensor:
        return normalise(self._pixels[example_id].to(self._clip.device), self._spec)

    def __iter__(self) -> Iterator[int]:
        return iter(self._pixels)

    def __len__(self) -> int:
        return len(self._pixels)

"""Images as a run prepared them, for what is asked of its model after the extraction."""

from __future__ import annotations

from pipeline.base.fields import make_settings
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip
from pipeline.extract.run import choose_decoder
from pipeline.extract.stream import Decoder
from pipeline.tables.runs import RunIdentity


def decoder_of_run(store: Store, dataset: str, run: RunIdentity, clip: Clip) -> Decoder:
    """What decodes image files as the run did; what only a GPU decodes is decoded the fast way elsewhere.

    Args:
        store: The warehouse.
        dataset: Of the run.
        run: How it prepared its images.
        clip: Its model.
    """
    way = run["preprocess"]
    if way == "device" and clip.device.type != "cuda":
        way = "fast"
    values: dict[str, object] = {
        "warehouse": store.url,
        "dataset": dataset,
        "model": clip.asked_for,
        "layers": ["goh2021"],  # not looked at
        "preprocess": way,
    }
    values |= {"max_pixels": run["max_pixels"]} if "max_pixels" in run else {}
    config = make_settings(ExtractConfig, values, f"run of {dataset}")
    return choose_decoder(config, ImageSpec.from_model(clip.model), clip.device)

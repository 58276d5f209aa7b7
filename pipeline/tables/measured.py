"""What the records say of all that a model was asked of a run, and of what people say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from pipeline.tables.manifests import FileEntry
from pipeline.tables.records import Moment, Sealed, Small


class ClassIdentity(TypedDict):
    """What decides the scores of a class set."""

    classes: list[str]
    templates: list[str]
    weights_sha256: NotRequired[str]


class ConceptIdentity(TypedDict):
    """What decides the scores of a run's concepts."""

    concepts: list[str]
    templates: list[str]
    weights_sha256: str


class EffectIdentity(TypedDict):
    """What decides the effects of a layer's neurons, besides what is known of each neuron."""

    weights_sha256: str
    layer: str
    concepts: list[str]
    templates: list[str]
    levels: list[float]
    hidden: int
    shown: int
    seed: int


class AblationIdentity(TypedDict):
    """What decides the ablations of a layer for the attacks of a class set, besides the attacked images."""

    weights_sha256: str
    layer: str
    class_set: str
    classes: list[str]
    templates: list[str]
    counts: list[int]
    draws: int
    images: int
    seed: int


class SupportIdentity(TypedDict):
    """What decides what a layer answers to fresh images."""

    weights_sha256: str
    layer: str
    concepts: list[str]
    """That are shown, sorted."""
    made_with: list[str]
    """Fonts and sets of drawings, by name."""
    fonts: list[str]
    """Where fonts were looked for."""
    sets: list[str]
    """Sets that were asked for."""
    images: int
    controls: int
    size_px: int
    seed: int


class FacetProbeIdentity(TypedDict):
    """What decides a facet probe, besides the images that show the facet or do not."""

    weights_sha256: str
    layer: str
    """Whose neurons' pictures it steers."""
    facet: str
    probe_layer: str
    """Canonical name of the lower layer."""
    shown: str
    """The query for what shows it; empty: stimuli of the run."""
    others: str
    images: int
    seed: int


class Drawing(TypedDict):
    """Settings with which some subjects drew."""

    settings: str
    """Hash of all that decides a picture."""
    choice: Mapping[str, object]
    """`visualise_settings.VisualiseChoice`, perhaps another version's; without which neurons."""
    units: list[Small]
    directions: list[str]


class FigureIdentity(TypedDict):
    """What decides a figure of a layer."""

    figure: str
    """Which: ``weights``, ``second-order``, ``words``, ``countries`` or ``maps``."""
    weights_sha256: str
    layer: str
    """Empty for a figure of the whole model."""
    texts: list[str]
    """The phrases that neurons are held against, by name; or the words that are drawn."""
    templates: list[str]
    """Prompts of the phrases; none for words."""
    font: NotRequired[str]
    """Of words."""
    size_px: NotRequired[int]
    """Of the images of words."""
    images: NotRequired[str]
    """Hash of the images of the run that are looked at, and by which neurons."""


class _Asked(Sealed):
    """What every such record says."""

    files: list[FileEntry]
    previous: NotRequired[list[str]]
    """Paths that the record named before, which open connections may still read."""
    created_at: Moment


class SimilarityRecord(_Asked):
    """``similarity.json``."""

    identity: ConceptIdentity


class ClassSetRecord(_Asked):
    """``class_sets/NAME.json``."""

    class_set: str
    identity: ClassIdentity
    logit_scale: float
    example_count: int


class EffectRecord(_Asked):
    """``effects/NAME.json``."""

    layer: str
    units: list[Small]
    """Neurons that were asked for, also those that could not be measured."""
    identity: EffectIdentity
    files: list[FileEntry]
    """Of each block of neurons one of `effects` and one of `concept_effects`."""


class SupportRecord(_Asked):
    """``support/NAME.json``."""

    layer: str
    identity: SupportIdentity
    files: list[FileEntry]
    """One of `fresh_images` for each block of concepts, and one of `fresh_scores`."""


class FigureRecord(_Asked):
    """``figures/NAME.json``."""

    layer: str
    """Empty for a figure of the whole model."""
    identity: FigureIdentity
    files: list[FileEntry]
    """The figure's table; without rows if the layer has none."""


class AblationRecord(_Asked):
    """``ablations/NAME.json``."""

    layer: str
    class_set: str
    identity: AblationIdentity
    files: list[FileEntry]
    """One of each attack that flips an image."""


class FacetProbeRecord(_Asked):
    """``facet_probes/NAME.json``."""

    layer: str
    facet: str
    identity: FacetProbeIdentity
    files: list[FileEntry]
    """One."""


class VisualisationRecord(_Asked):
    """``visualisations/NAME.json``."""

    layer: str
    drawn: list[Drawing]
    """What was asked for, for all to be drawn again."""
    files: list[FileEntry]
    """One of `visualisations`, and every picture, as of the table ``pictures``."""


class HumanLabelsRecord(Sealed):
    """``human_labels/NAME.json``."""

    layer: str
    unit: int
    labeller: str
    imported_at: str
    files: list[FileEntry]


Measured = (
    SimilarityRecord
    | ClassSetRecord
    | EffectRecord
    | AblationRecord
    | SupportRecord
    | FacetProbeRecord
    | VisualisationRecord
    | FigureRecord
)
"""What a model was asked of a run that is extracted."""


def named_paths(record: Measured) -> set[str]:
    """The files that a record names, and those that it named just before."""
    return {file["path"] for file in record["files"]} | set(record.get("previous", ()))

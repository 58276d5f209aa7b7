"""What a look says, in words: the terminal, the picture and the page say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.warehouse.layer_axes import say_strength

if TYPE_CHECKING:
    from pipeline.look.excited import Excited, LayerFound
    from pipeline.look.look import Look
    from pipeline.look.readers import Reader
    from pipeline.look.suspicion import Suspicion

ALIKE = "Images of the run that excite several of these neurons"
HEADS = {
    "suspected": "A written word may have decided this answer",
    "agreed": "A written word is read, and the rest says the same",
    "none": "No sign that a written word decided",
    "unknown": "Whether a written word decided is not known",
}


def describe_run(look: Look) -> str:
    """Model, run and the image's size."""
    width, height = look.seen.size_px
    return f"{width} x {height} pixels  ·  {look.run.model_id}  ·  {look.run.dataset}, run {look.run.run_id}"


def list_notes(look: Look) -> list[str]:
    """What must be known before anything is believed."""
    if look.is_random:
        return ["The weights are random: nothing here was learned."]
    return []


def describe_layer(found: LayerFound) -> str:
    """What a layer's strengths are measured in, or that nothing is excited."""
    if not found.neurons:
        return "No neuron of it is excited by this image."
    count = len(found.neurons)
    which = "The neuron" if count == 1 else f"The {count} neurons"
    return f"{which} that it excites most, in {found.measured_in}; beside each the images of the run that do"


def describe_neuron(neuron: Excited) -> list[str]:
    """Its label, then lines about it."""
    strength = say_strength(neuron.strength, neuron.axis)
    lines = [f"unit {neuron.unit}  ·  {strength}", f"activation {neuron.activation:.3g}"]
    if neuron.support:
        lines.append(f"label supported by {neuron.support} scores")
    if neuron.is_beyond:
        lines[1] += ", more than any image of the run"
    return [neuron.label, *lines]


def describe_share(share: float) -> str:
    """A probability, in percent."""
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def describe_suspicion(suspicion: Suspicion) -> list[str]:
    """A head, then sentences."""
    head, region = HEADS[suspicion.level], suspicion.region
    if region is None:
        return [head, suspicion.why]
    writing = f"{region.writing_frac:.0%} of the way from a picture to writing"
    if suspicion.level == "none":
        return [
            head,
            f"No part of it both looks like writing and is, alone, taken for {region.answer}. The nearest: "
            f"{region.answer} {region.alone_frac:.0%}, {writing}.",
        ]
    change = f"{region.answer} {region.before:.0%} → {region.after:.0%}"
    outcome = (
        f"the answer stays: {change}"
        if suspicion.level == "agreed"
        else f"it is taken for {region.answer_without}: {change}"
    )
    sentences = [
        f"Reads “{region.answer}” here: alone, this part is taken for {region.answer} "
        f"({region.alone_frac:.0%}) and is {writing}.",
        f"With it painted over, {outcome}.",
    ]
    if suspicion.readers:
        sentences.append("Neurons that say so, with it → without it:")
        sentences += [f"· {describe_reader(reader)}" for reader in suspicion.readers]
    if suspicion.is_guessed:
        sentences.append("What writing looks like, the model itself guessed.")
    return [head, *sentences]


def describe_reader(reader: Reader) -> str:
    """One neuron that reads: with the part, and without it."""
    before, after = (say_strength(one, reader.axis) for one in (reader.before, reader.after))
    told = f"unit {reader.unit}, {reader.label}: {before} → {after}"
    return (
        told if reader.word_auroc is None else f"{told}; AUROC {reader.word_auroc:.2f} for the word"
    )

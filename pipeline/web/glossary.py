"""One sentence for every figure that pages show, for someone who has never read the paper."""

from __future__ import annotations

from markupsafe import Markup, escape

TERMS = {
    "ablation": (
        "The neurons that move most are set to 0, and all that follows the layer runs again."
    ),
    "activation": (
        "How strongly the neuron answers to an image, in standard deviations on the axis of "
        "its layer."
    ),
    "active": "Share of the images on which the neuron's activation is above zero.",
    "agreement": (
        "How many of three independent methods choose the same concept; enrichment always did."
    ),
    "attack": "A word is written on an image, and the model chooses anew what the image shows.",
    "auroc": (
        "How often an image that shows the concept excites the neuron more than one that does "
        "not: 0.5 is chance, 1 is always."
    ),
    "blank_patch": (
        "The control: the same patch with nothing on it. What it changes, the word did not."
    ),
    "by_construction": "Known because the image was made to show it.",
    "by_texts": "A caption, a title or another text that came with the image names it.",
    "by_the_model": "The run's own model finds it: its opinion, no evidence from outside.",
    "category": "The family that a concept belongs to, such as region or emotion.",
    "chance": "How many neurons would pass if concepts were handed to images at random.",
    "changed": "Share of the images that are taken for the word's class, and were not without it.",
    "circular": (
        "Of a text tower, which read the very texts that tell the concept: not counted as labelled."
    ),
    "clarity": (
        "Mean cosine of two of the neuron's strongest images in the model's embedding: 1 if "
        "all look alike to the model."
    ),
    "class_probability": "The share that the model gives this class among all classes of the set.",
    "concept": "A short phrase that images show or name, such as Japan.",
    "copies": (
        "Files that show one image: the same file, or resized, grey or cropped by a few per cent."
    ),
    "coverage": "Of how many images it is known what they show; labels rest on these alone.",
    "covered": "Mean share of the pixels that the patch with the word covers.",
    "flip_auroc": (
        "How well its change tells images that are turned from those that are not: 0.5 is chance."
    ),
    "form": "How an image shows a concept: as a photo, a drawing, a written word.",
    "groups": (
        "The strongest images parted into groups that look alike to the model: several mean "
        "several subjects."
    ),
    "half": "Concepts are chosen on the screening half of the images and tested on the other.",
    "index": (
        "Multimodality index: the smallest AUROC over the forms in which the concept is "
        "shown. Near 1: it answers in every form."
    ),
    "kurtosis": (
        "How heavy the tails of its activations are: 0 as a normal distribution's, large if "
        "few images excite it."
    ),
    "labelled": (
        "A concept that was chosen on one half of the images passed its test on the other half."
    ),
    "language_index": "The smallest AUROC over the languages in which the concept is written.",
    "lift": "How many times as often its strongest images show the concept as images do anywhere.",
    "map": (
        "A plane made by t-SNE from the mean embedding of each neuron's strongest images: who lies near "
        "looks alike to the model; distances of far groups mean nothing."
    ),
    "margin": "How far its AUROC is ahead of the next best concept's.",
    "moved": "Mean change of the activation by the word, in standard deviations of the neuron.",
    "multimodal": (
        "Neurons that answer to their concept in every form: photo, drawing, written word."
    ),
    "near_miss": "Images like its strongest ones that leave it cold.",
    "neuron": "One unit of one layer; in a convolutional layer, one channel.",
    "neutral_cards": (
        "Cards whose word is no colour: if the ink is not named there, that the word wins says "
        "little."
    ),
    "polysemanticity": (
        "How far apart the groups of its strongest images are: 0 if there is one subject."
    ),
    "probability": (
        "Of images drawn from a slice of activation, the share that shows it, with Wilson's "
        "95 % interval."
    ),
    "people_agree": (
        "Of the images of a neuron that two people labelled, those of which both say the same word."
    ),
    "q": "Believe all labels with a q up to this one's, and about this share of them is false.",
    "q_of_pair": (
        "Call all pairs of neuron and concept with a q up to this one's real, and about this "
        "share is not."
    ),
    "rejected": "Images that could not be used; each has a row that says why.",
    "right_word": "Another control: the patch with the name of what the image does show.",
    "said": (
        "What a person says of most of the ten strongest images that this person labelled, without "
        "being told which those are; the same as the label if it names its concept in any language."
    ),
    "said_auroc": (
        "How often an image of which the person says this word excites the neuron more than one of "
        "which another is said. The images are of every strength alike, so it is not the label's AUROC."
    ),
    "sd": "Standard deviation of its activations over all images.",
    "similarity": (
        "Cosine of the two neurons' activations over the images that either answers to."
    ),
    "skewness": "How lopsided its activations are: large if few images excite it strongly.",
    "sparsity": "Near 1 if few images hold nearly all of its activation.",
    "stroop": "After Stroop (1935): the name of a colour is printed in the ink of another colour.",
    "support": (
        "How many independent scores, which had no part in choosing the label, support it, of "
        "those measured."
    ),
    "thin": "A figure that rests on fewer than three images.",
    "untrained": "The same of a model with random weights: what training did not bring.",
    "wilson": "Of repeated samples, 95 % have an interval like this that holds the true share.",
    "wins": "How often the model answers with the written word, or with the ink.",
}
"""By a short name, the sentence."""


def explain(term: str, text: str | None = None) -> Markup:
    """A name of a figure that tells what it means when it is pointed at, tapped or focused.

    Args:
        term: One of `TERMS`.
        text: What stands on the page; the term itself by default.
    """
    sentence = TERMS[term]
    return Markup(
        '<span class="term" tabindex="0" role="note" aria-label="{label}" data-tip="{tip}" '
        'data-term="{term}">{text}</span>'
    ).format(
        label=f"{text or term}: {sentence}", tip=sentence, term=term, text=escape(text or term)
    )


def tip(term: str) -> Markup:
    """The attributes that do the same for a link.

    Args:
        term: One of `TERMS`.
    """
    return Markup('data-tip="{}" data-term="{}"').format(TERMS[term], term)

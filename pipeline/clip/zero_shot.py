"""Zero-shot classification: class prompts through the text tower, scores against image embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pipeline.base.errors import ConfigError, ModelError
from pipeline.clip.model import Clip

PROMPTS_AT_ONCE = 256


def check_prompts(classes: Sequence[str], templates: Sequence[str]) -> None:
    """Refuse classes and templates that cannot tell anything apart.

    Raises:
        ConfigError: Fewer than two classes, one of them twice or empty, or a template without ``{}``.
    """
    if len(classes) < 2:
        raise ConfigError(
            f"There are {len(classes)} classes: {list(classes)}.",
            "Zero-shot classification chooses between two or more: --class A --class B.",
        )
    if bad := [name for name in classes if not name.strip()]:
        raise ConfigError(f"{len(bad)} of the {len(classes)} classes are empty.", "Leave them out.")
    if twice := sorted({name for name in classes if classes.count(name) > 1}):
        raise ConfigError(f"These classes are given twice: {twice}.", "Give each of them once.")
    if not templates:
        raise ConfigError("There is no prompt template.", 'Give one: --template "a photo of a {}."')
    if bad := [template for template in templates if template.count("{}") != 1]:
        raise ConfigError(
            f"The template {bad[0]!r} has {bad[0].count('{}')} places for the class.",
            'Write {} once, as in "a photo of a {}."',
        )


@torch.inference_mode()
def embed_classes(clip: Clip, classes: Sequence[str], templates: Sequence[str]) -> torch.Tensor:
    """The text embedding of each class: its prompts' embeddings averaged and normalised again.

    As in Radford et al. 2021 (arXiv:2103.00020), section 3.1.4: prompt ensembling in embedding space.

    Args:
        clip: The model.
        classes: Names, as they go into the templates.
        templates: Each holds ``{}`` once.

    Returns:
        Float32 ``[C, D]`` on the CPU, L2 norm 1.

    Raises:
        ConfigError: See :func:`check_prompts`; or the model's context is so short that two classes
            become the same tokens.
        ModelError: The model gives NaN or infinity.
    """
    check_prompts(classes, templates)
    total = torch.zeros(())
    for template in templates:
        tokens = clip.tokenizer([template.replace("{}", name) for name in classes])
        _refuse_same_tokens(tokens, classes, template)
        with clip.lock:  # else an extraction in another thread would see these texts
            parts = [
                clip.model.encode_text(some.to(clip.device), normalize=True).float().cpu()
                for some in torch.split(tokens, PROMPTS_AT_ONCE)
            ]
        total = total + torch.cat(parts)
    embeddings = torch.nn.functional.normalize(total, dim=1)
    if not bool(torch.isfinite(embeddings).all()):
        raise ModelError(
            f"The text tower of {clip.model_id} gives NaN or infinity.", "Its weights are damaged."
        )
    return embeddings


def _refuse_same_tokens(tokens: torch.Tensor, classes: Sequence[str], template: str) -> None:
    """A prompt that is too long is cut in silence by the tokenizer, and with it the class."""
    seen: dict[tuple[int, ...], str] = {}
    for name, row in zip(classes, tokens.tolist(), strict=True):
        other = seen.setdefault(tuple(row), name)
        if other != name:
            raise ConfigError(
                f"With the template {template!r} the classes {other!r} and {name!r} are the same "
                f"{tokens.shape[1]} tokens to this model.",
                "Prompts beyond its context are cut: give a shorter --template, or drop one class.",
            )


def embed_text(
    clip: Clip, text: str, templates: Sequence[str], background: Sequence[str]
) -> torch.Tensor:
    """What sets a free text apart, in the space of the embeddings.

    The text's embedding (see `embed_classes`) minus the mean embedding of a background of other
    texts in the same templates. All texts of a CLIP model have a large part in common, and so have
    all images: without it, a cosine with the text tells less of what the text says. ``python -m bench
    find`` measures what that is worth on nano's planted concepts: much in a prompt that the model never
    learned, little in those of ``neurons find``.

    Args:
        clip: The model.
        text: Any text.
        templates: Each holds ``{}`` once.
        background: Other texts; none of them need be used.

    Returns:
        Float32 ``[D]`` on the CPU: the dot product with an image embedding is its cosine with the
        text, minus its mean cosine with the background.

    Raises:
        ConfigError: The text is empty or longer than the model reads, or a template cannot work.
    """
    if not text.strip():
        raise ConfigError("The text is empty.", "Say what the neurons should stand for.")
    tokens = clip.tokenizer([text, *background]).tolist()
    others = [
        name for n, name in enumerate(background, 1) if tokens[n] not in tokens[:n]
    ]  # "Guitar" and "guitar" are one text to most models
    check_prompts([text, *others], templates)
    for template in templates:
        _refuse_cut(clip, text, template)
    embeddings = embed_classes(clip, [text, *others], templates)
    return embeddings[0] - embeddings[1:].mean(0)


def choose_readable(
    clip: Clip, texts: Sequence[str], templates: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Texts that a model can tell apart, in the order given, and those that it cannot.

    Left out are a text that is cut in any template, since the context is too short for it, and one that is the
    same tokens as an earlier one.

    Args:
        clip: The model.
        texts: Any; blank ones are left out.
        templates: Each holds ``{}`` once.
    """
    seen: list[set[tuple[int, ...]]] = [set() for _ in templates]
    kept: list[str] = []
    left: list[str] = []
    shorter = [text[: _last_letter(text)] for text in texts]
    tokens = [
        (
            clip.tokenizer([template.replace("{}", text) for text in texts]).tolist(),
            clip.tokenizer([template.replace("{}", text) for text in shorter]).tolist(),
        )
        for template in templates
    ]
    for place, text in enumerate(texts):
        rows = [tuple(whole[place]) for whole, _ in tokens]
        is_cut = any(whole[place] == cut[place] for whole, cut in tokens)
        is_known = any(row in known for row, known in zip(rows, seen, strict=True))
        if not text.strip() or is_cut or is_known:
            left.append(text)
            continue
        kept.append(text)
        for row, known in zip(rows, seen, strict=True):
            known.add(row)
    return kept, left


def _last_letter(text: str) -> int:
    """The place of the last letter or digit of a text."""
    return max((n for n, letter in enumerate(text) if letter.isalnum()), default=len(text) - 1)


def _refuse_cut(clip: Clip, text: str, template: str) -> None:
    """The tokenizer cuts in silence what is beyond the model's context."""
    shorter = text[: _last_letter(text)]
    whole, cut = clip.tokenizer([template.replace("{}", some) for some in (text, shorter)])
    if torch.equal(whole, cut):
        raise ConfigError(
            f"{clip.model_id} does not read {template.replace('{}', text)!r} to its end.",
            f"Its context is {whole.shape[0]} tokens: give a shorter text or --template.",
        )


def score_classes(
    clip: Clip, images: torch.Tensor, classes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Score images against classes, in float32, as CLIP does.

    Args:
        clip: The model; its ``logit_scale`` (and ``logit_bias``, if it has one) is used.
        images: ``[N, D]`` image embeddings in any float type; they are normalised again.
        classes: ``[C, D]`` of :func:`embed_classes`.

    Returns:
        Logits and their softmax over the classes, each float32 ``[N, C]``. Models trained with a
        sigmoid loss get a softmax too: here the question is which of the classes it is.
    """
    normalised = torch.nn.functional.normalize(images.float(), dim=1)
    logits = logit_scale(clip) * normalised @ classes.T
    bias = getattr(clip.model, "logit_bias", None)
    if bias is not None:
        logits = logits + bias.float().cpu()
    return logits, logits.softmax(1)


def logit_scale(clip: Clip) -> float:
    """What cosines are multiplied with: 100 in OpenAI's models."""
    return float(clip.model.logit_scale.exp())

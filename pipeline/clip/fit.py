"""Putting the weights of a file into a model: all of them, and nothing else.

People save weights wrapped: below ``state_dict`` or ``model``, with ``module.`` (DataParallel),
``_orig_mod.`` (torch.compile) or ``model.`` (Lightning) before every name. Wrappings that all names
share are taken off until the names are those of the model. What is not clear is refused by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict

from pipeline.base.errors import ModelError
from pipeline.clip.checkpoint import Checkpoint
from pipeline.clip.model_id import CONFIG_FILE, ModelId

WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"}
"""Parts of names that torch's wrappers put in, anywhere; no open_clip model has such parts."""

MAX_DEPTH, MAX_PREFIXES = 3, 4
NO_WEIGHTS = {"input_resolution", "context_length", "vocab_size", "n_averaged"}
"""Numbers that OpenAI's archives, and torch's averaged models, hold among the weights."""
FULL = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
"""Types that hold a weight itself; shorter ones hold it without the scale that belongs to it."""

State = dict[str, torch.Tensor]


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint, name: ModelId) -> int:
    """Put the weights of a checkpoint into a model.

    Args:
        model: An open_clip model.
        checkpoint: Read.
        name: Of the model, for an error and its way out.

    Returns:
        How many tensors were loaded: all that the model has.

    Raises:
        ModelError: The names or shapes are not the model's, several sets of weights would fit, or there
            is NaN or infinity among them.
    """
    wanted = model.state_dict()
    found = dict(_find_states(checkpoint.content))
    if not found:
        kind = type(checkpoint.content).__name__
        raise ModelError(
            f"Checkpoint {checkpoint.path!r} holds no weights: it is a {kind} without tensors by name.",
            "Save the weights: torch.save(model.state_dict(), FILE)",
        )
    fitting = {
        where: state
        for where, raw in found.items()
        if (state := _fit(model, wanted, raw, checkpoint.is_torchscript)) is not None
    }
    if not fitting:
        best = max(found, key=lambda where: _overlap(wanted, found[where]))
        raise _misfit(checkpoint.path, name, wanted, found[best])
    first, *others = fitting
    if any(_differ(fitting[first], fitting[other]) for other in others):
        raise ModelError(
            f"Checkpoint {checkpoint.path!r} holds {len(fitting)} sets of weights that fit {name.arch}: "
            f"{', '.join(map(repr, fitting))}.",
            "Save the one that you mean alone: torch.save(checkpoint[NAME], FILE)",
        )
    state = fitting[first]
    _refuse_other_shapes(checkpoint.path, name, wanted, state)
    _refuse_other_types(checkpoint.path, wanted, state)
    _refuse_not_finite(checkpoint.path, state)
    model.load_state_dict(state, strict=True)
    return len(state)


def _find_states(content: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Mappings with tensors by name, and where in the file they are."""
    if not isinstance(content, Mapping):
        return
    state = {k: v for k, v in content.items() if isinstance(k, str) and torch.is_tensor(v)}
    if state:
        yield name, state
    for key, value in content.items() if depth < MAX_DEPTH else ():
        if isinstance(key, str):
            yield from _find_states(value, f"{name}.{key}" if name else key, depth + 1)


def _fit(
    model: torch.nn.Module, wanted: Mapping[str, torch.Tensor], raw: State, is_torchscript: bool
) -> State | None:
    """The state with the model's names, or None."""
    state: State | None = _without_wrappers(raw)
    for _ in range(MAX_PREFIXES):
        if state is None:
            return None
        try:
            converted = _convert(model, wanted, state)
        except (AttributeError, KeyError, IndexError, RuntimeError):  # taken for another project's
            return None
        extra = converted.keys() - wanted.keys() - NO_WEIGHTS
        if is_torchscript:  # buffers that torch does not store otherwise
            extra = {name for name in extra if not name.endswith("attn_mask")}
        if not extra and wanted.keys() <= converted.keys():
            return {name: converted[name] for name in wanted}
        state = _without_first(state)
    return None


def _without_wrappers(state: State) -> State | None:
    names = {name: ".".join(p for p in name.split(".") if p not in WRAPPERS) for name in state}
    return {names[name]: value for name, value in state.items()} if _is_one_to_one(names) else None


def _without_first(state: State) -> State | None:
    """Without the first part of the names, if all share it."""
    first = {name.partition(".")[0] for name in state}
    if len(first) > 1 or any("." not in name for name in state):
        return None
    return {name.partition(".")[2]: value for name, value in state.items()}


def _is_one_to_one(names: Mapping[str, str]) -> bool:
    return len(set(names.values())) == len(names)


def _convert(model: torch.nn.Module, wanted: Mapping[str, torch.Tensor], state: State) -> State:
    """As ``open_clip.load_checkpoint`` does: other projects' names, older names, scalars as rows."""
    state = convert_state_dict(model, dict(state))
    if "positional_embedding" in state and "positional_embedding" not in wanted:
        state = convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in wanted and state[name].numel() == wanted[name].numel() == 1:
            state[name] = state[name].reshape(wanted[name].shape)
    if "logit_bias" in wanted and "logit_bias" not in state and "logit_scale" in state:
        state["logit_bias"] = torch.zeros_like(state["logit_scale"])
    name = "text.transformer.embeddings.position_ids"  # transformers wrote it until 4.31
    if name not in wanted:
        state.pop(name, None)
    return state


def _overlap(wanted: Mapping[str, torch.Tensor], state: State) -> int:
    return max(len(wanted.keys() & tried.keys()) for tried in _unwrapped(state))


def _unwrapped(state: State) -> Iterator[State]:
    tried: State | None = _without_wrappers(state) or state
    for _ in range(MAX_PREFIXES):
        if tried is None:
            return
        yield tried
        tried = _without_first(tried)


def _way_out(name: ModelId) -> str:
    """What to do about weights that are another model's, by where they come from."""
    if name.source == "tag":
        return "It is not what open_clip's table expects: delete the file, and it is fetched again."
    if name.source == "hub":
        return "Its configuration and its weights are not of one model: ask who published it."
    if name.source == "folder":
        return f"{CONFIG_FILE} and the weights in the folder are not of one model: put the right two there."
    return (
        "Name the architecture it was trained with (another width, patch or image size is another one), "
        f"or save its part that is this model alone. Layers of {name.arch}: "
        f"neurons layers {name.arch}:random"
    )


def _misfit(path: str, name: ModelId, wanted: Mapping[str, torch.Tensor], raw: State) -> ModelError:
    """Say what the names are, and what they should be."""
    state = max(_unwrapped(raw), key=lambda tried: len(wanted.keys() & tried.keys()))
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted and name not in NO_WEIGHTS]
    if len(missing) == len(wanted):
        heads = Counter(name.partition(".")[0] for name in state).most_common(3)
        seen = "its names begin with " + ", ".join(f"{head!r} ({n})" for head, n in heads)
        need = Counter(name.partition(".")[0] for name in wanted).most_common(3)
        seen += ", those of the model with " + ", ".join(f"{head!r} ({n})" for head, n in need)
    else:
        parts = [
            f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
            for what, names in (
                ("of the model are missing", missing),
                ("are not the model's", extra),
            )
            if names
        ]
        seen = "of its tensors, " + "; ".join(parts)
    if any(key.startswith(("vision_model.", "text_model.")) for key in state):
        seen += ": these are the names of transformers, not of open_clip"
    return ModelError(f"Checkpoint {path!r} does not fit {name.arch}: {seen}.", _way_out(name))


def _differ(one: State, other: State) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in one)


def _refuse_other_shapes(
    path: str, name: ModelId, wanted: Mapping[str, torch.Tensor], state: State
) -> None:
    other = [key for key in wanted if wanted[key].shape != state[key].shape]
    if other:
        key = other[0]
        more = f", and {len(other) - 1} more are of another shape" if len(other) > 1 else ""
        raise ModelError(
            f"Checkpoint {path!r} does not fit {name.arch}: {key} is {list(state[key].shape)} in the "
            f"file and {list(wanted[key].shape)} in the model{more}.",
            _way_out(name),
        )


def _refuse_other_types(path: str, wanted: Mapping[str, torch.Tensor], state: State) -> None:
    """Numbers that are not the weights themselves would be taken for them."""
    for name, tensor in state.items():
        is_whole = tensor.dtype in FULL or not wanted[name].is_floating_point()
        if is_whole and tensor.layout == torch.strided and not tensor.is_meta:
            continue
        what = "without values" if tensor.is_meta else f"{tensor.dtype}, {tensor.layout}"
        raise ModelError(
            f"Checkpoint {path!r} holds no plain weights: {name} is {what}.",
            "Quantised, sparse or empty weights do not give the model's numbers. Save it in float32 "
            "or float16.",
        )


def _refuse_not_finite(path: str, state: State) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"Checkpoint {path!r} holds NaN or infinity in {name}: its weights are damaged.",
                "Training went wrong before it was saved, or the file was. Take an earlier one.",
            )

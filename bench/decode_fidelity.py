"""How far the fast way of decoding is from open_clip's own, and what it saves.

Run ``python -m bench decode_fidelity``. The images are synthetic photographs, the model is a small
network of RN50's shape with seeded random weights: the sizes of the differences carry over to
trained models, the activations themselves mean nothing. Nothing here is asserted: machines differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from open_clip.modified_resnet import ModifiedResNet

from bench.data import synthesise_photo
from bench.timing import Report, Row
from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import (
    decode_exact,
    decode_fast,
    normalise,
    stack,
    start_decode_thread,
)
from pipeline.extract.decode_device import DeviceDecoder

SPEC = ImageSpec(
    (224, 224), (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
)
SIZES = [(300, 400), (500, 375), (640, 480), (1024, 683), (1200, 1600), (2000, 1500)]
TOP_K = 20


def pool_activations(images: Iterable[torch.Tensor]) -> torch.Tensor:
    """What the last block's final ReLU receives, spatial maximum: float32 [images, units]."""
    torch.manual_seed(0)
    model = ModifiedResNet([3, 4, 6, 3], output_dim=64, heads=4, image_size=224, width=16).eval()
    pooled: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        pooled.append(inputs[0].amax((2, 3)))

    model.layer4[-1].act3.register_forward_pre_hook(keep)
    with torch.inference_mode():
        for image in images:
            model(normalise(stack([image]), SPEC))
    return torch.cat(pooled)


def images_per_second(work: Callable[[bytes], object], files: list[bytes], threads: int) -> float:
    """The best of three rounds over all files."""
    with ThreadPoolExecutor(threads, initializer=start_decode_thread) as pool:
        list(pool.map(work, files[:4]))
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            list(pool.map(work, files))
            seconds.append(time.perf_counter() - started)
    return len(files) / min(seconds)


def report_fidelity(files: list[bytes]) -> Report:
    """Differences at the pixels and at the activations."""
    fast = [decode_fast(data, SPEC, MAX_PIXELS) for data in files]
    exact = [decode_exact(data, SPEC, MAX_PIXELS) for data in files]
    yield from _report_apart("fast", fast, exact)
    if torch.cuda.is_available():
        decoder = DeviceDecoder(SPEC, MAX_PIXELS, torch.device("cuda"))
        device, _ = decoder.assemble([decoder.decode(data) for data in files])
        yield from _report_apart("device", list(device.cpu()), exact)


def _report_apart(name: str, fast: list[torch.Tensor], exact: list[torch.Tensor]) -> Report:
    pixels = (normalise(stack(fast), SPEC) - torch.stack(exact)).abs()
    yield f"decode_fidelity: {name} against exact, {len(fast)} JPEGs"
    unit, note = "milli", "of a normalised unit; a grey level is 15"
    yield Row("pixels, largest difference", pixels.max().item() * 1e3, unit, note)
    yield Row("pixels, mean difference", pixels.mean().item() * 1e3, unit, note)
    yield Row("pixels that differ", (pixels > 0.007).float().mean().item() * 100, "%")
    one, other = pool_activations(fast), pool_activations(exact)
    shift = (one - other) / other.std(0).clamp_min(1e-12)
    lists = zip(one.T, other.T, strict=True)
    kept = [len(np.intersect1d(a.topk(TOP_K)[1], b.topk(TOP_K)[1])) for a, b in lists]
    rms = shift.square().mean().sqrt().item()
    yield Row("activations, RMS difference", rms * 1e3, unit, "of the neuron's SD")
    yield Row(f"top-{TOP_K} entries changed", float(1 - np.mean(kept) / TOP_K) * 100, "%")


def report_speed(name: str, files: list[bytes]) -> Report:
    """Images per second of both ways, with one and two threads."""
    ways = {
        "exact": lambda data: decode_exact(data, SPEC, MAX_PIXELS),
        "fast": lambda data: decode_fast(data, SPEC, MAX_PIXELS),
    }
    for threads in (1, 2):
        exact, fast = (images_per_second(ways[way], files, threads) for way in ("exact", "fast"))
        note = f"{threads} threads; exact {exact:,.0f}, fast {fast:,.0f} images/s"
        yield Row(f"fast / exact, {name}", fast / exact, "x", note)


def report(quick: bool) -> Report:
    """Fidelity, then speed."""
    count, sizes = (TOP_K, SIZES[:2]) if quick else (48, SIZES)
    photos = [synthesise_photo(*sizes[i % len(sizes)], seed=i) for i in range(count)]
    small = [synthesise_photo(128, 128, seed=i) for i in range(8)] * (1 if quick else 24)
    torch.get_num_threads()  # keeps this thread's number while the pools' threads take one core
    yield from report_fidelity(photos)
    yield from report_speed("300x400 .. 2000x1500", photos[:6] if quick else photos)
    yield from report_speed("128x128", small)

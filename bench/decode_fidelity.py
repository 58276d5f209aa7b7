"""How far the fast way of decoding is from open_clip's own, and what it saves.

Run ``python bench/decode_fidelity.py``. The images are synthetic photographs, the model is a small
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
from pipeline.config import MAX_PIXELS
from pipeline.extract.decode import (
    ImageSpec,
    decode_exact,
    decode_fast,
    normalise,
    stack,
    start_decode_thread,
)

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


def report_fidelity(files: list[bytes]) -> None:
    """Differences at the pixels and at the activations."""
    fast = [decode_fast(data, SPEC, MAX_PIXELS) for data in files]
    exact = [decode_exact(data, SPEC, MAX_PIXELS) for data in files]
    pixels = (normalise(stack(fast), SPEC) - torch.stack(exact)).abs()
    print(f"difference of fast to exact, {len(files)} JPEGs")
    print(f"  pixels, largest        {pixels.max():.4f} normalised units (a grey level is 0.015)")
    print(f"  pixels, mean           {pixels.mean():.6f} normalised units")
    print(f"  pixels that differ     {(pixels > 0.007).float().mean():.2%}")
    one, other = pool_activations(fast), pool_activations(exact)
    shift = (one - other) / other.std(0).clamp_min(1e-12)
    lists = zip(one.T, other.T, strict=True)
    kept = [len(np.intersect1d(a.topk(TOP_K)[1], b.topk(TOP_K)[1])) for a, b in lists]
    print(f"  activations, RMS       {shift.square().mean().sqrt():.5f} SD of the neuron")
    print(f"  top-{TOP_K} entries changed {1 - np.mean(kept) / TOP_K:.3%} of all entries")


def report_speed(name: str, files: list[bytes]) -> None:
    """Images per second of both ways, with one and two threads."""
    ways = {
        "exact": lambda data: decode_exact(data, SPEC, MAX_PIXELS),
        "fast": lambda data: decode_fast(data, SPEC, MAX_PIXELS),
    }
    for threads in (1, 2):
        exact, fast = (images_per_second(ways[way], files, threads) for way in ("exact", "fast"))
        print(f"  {name:<22} {threads}  {exact:>8.0f} {fast:>8.0f} {fast / exact:>7.2f}x")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--images", type=int, default=48, help="photographs to synthesise")
    count = parser.parse_args().images
    photos = [synthesise_photo(*SIZES[i % len(SIZES)], seed=i) for i in range(count)]
    small = [synthesise_photo(128, 128, seed=i) for i in range(8)] * 24
    torch.get_num_threads()  # keeps this thread's number while the pools' threads take one core
    report_fidelity(photos)
    print("images/s                threads   exact     fast   ratio")
    report_speed("300x400 .. 2000x1500", photos)
    report_speed("128x128", small)


if __name__ == "__main__":
    main()

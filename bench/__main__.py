"""``python -m bench [NAME ...] [--quick]``: measure, and print ratios beside their targets."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import time

import pyarrow as pa
import torch

from bench.timing import Row

NAMES = (
    "extraction",
    "device",
    "writing",
    "peaks",
    "queries",
    "opening",
    "concepts",
    "captions",
    "memory",
    "resume",
    "kills",
    "decode_fidelity",
    "find",
    "support",
    "look",
    "visualise",
    "near_duplicates",
    "growth",
    "web",
    "site",
)


def describe_machine() -> str:
    """Cores, device and versions, one line."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {device}, {load}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, pyarrow {pa.__version__}"
    )


def show(line: Row | str) -> None:
    """Print one line of a report."""
    if isinstance(line, str):
        print(f"\n{line}", flush=True)
        return
    figure = f"{line.value:,.2f}" if abs(line.value) < 100 else f"{line.value:,.0f}"
    target = f"  [target {line.target}]" if line.target else ""
    note = f"  ({line.note})" if line.note else ""
    print(f"  {line.what:<44}{figure:>10} {line.unit:<12}{target}{note}", flush=True)


def main() -> None:
    """Run the named benchmarks, or all of them."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: does it run?")
    parser.add_argument("--full", action="store_true", help="growth, web: more, and longer")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"no benchmark {min(unknown)!r}; there are {', '.join(NAMES)}")
    began = time.monotonic()
    print(describe_machine())
    print("Medians of rounds taken in turn. Targets are compared by people, never asserted.")
    if args.quick:
        print("QUICK: sizes too small for the figures to mean anything.")
    for name in args.names or NAMES:
        more = {"full": True} if args.full and name in ("growth", "web") else {}
        for line in importlib.import_module(f"bench.{name}").report(args.quick, **more):
            show(line)
    print(f"\ndone in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

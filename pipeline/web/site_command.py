"""The command that makes a site of a list of neurons."""

from __future__ import annotations

import shlex

from pipeline.web.chosen import Chosen

MAX_UNITS = 60
"""Units that are named one by one; more, and those of several layers, are read from the list's CSV."""

CSV_NAME = "neurons.csv"
"""What a browser calls the CSV of a list."""


def site_command(chosen: Chosen) -> str:
    """What to type; the warehouse, of which a page says no path, is `warehouse`.

    Args:
        chosen: The list; it is not empty.
    """
    places = {(one.dataset, one.run_id, one.layer) for one in chosen.neurons}
    words = ["neurons", "site", "--out", "site"]
    if len(places) == 1 and len(chosen.neurons) <= MAX_UNITS:
        for name, value in zip(("dataset", "run", "layer"), *places, strict=True):
            words += [f"--{name}", value]
        words += ["--neurons", ",".join(str(one.unit) for one in chosen.neurons)]
    else:
        words += ["--neurons", CSV_NAME]
    return shlex.join([*words, "--warehouse", "warehouse"])

"""Class sets of a run: what the pages of attacks and of the Stroop test are of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import WarehouseError

if TYPE_CHECKING:
    from pipeline.web.view import View


class ClassSet(NamedTuple):
    """Classes that images were classified with."""

    class_set: str
    classes: Sequence[str]


_CLASS_SETS = """
select class_set, classes
from class_sets
where
    dataset = $dataset and run_id = $run_id and list_contains($names::varchar[], class_set)
order by class_set
"""


def find_sets(view: View, this: Mapping[str, str], names: Collection[str]) -> list[ClassSet]:
    """Class sets of a run, by name.

    Args:
        view: Asks.
        this: The run's ``dataset`` and ``run_id``.
        names: Which.
    """
    return view.ask(_CLASS_SETS, ClassSet, **this, names=sorted(names))


def choose_set(sets: Sequence[ClassSet], name: str) -> ClassSet:
    """The class set that is asked for, or the first.

    Args:
        sets: At least one.
        name: Empty for the first.

    Raises:
        WarehouseError: There is none of that name.
    """
    for one in sets:
        if name in ("", one.class_set):
            return one
    known = ", ".join(one.class_set for one in sets)
    raise WarehouseError(f"There is no class set {name!r}.", f"Class sets: {known}.")

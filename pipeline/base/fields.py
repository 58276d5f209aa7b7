"""What a setting is: name, type, bounds, default and a sentence, read from where the dataclass writes them.

Job files, command line options, Prefect's form (through pydantic, which reads the same annotations) and the
reference are made from these, so that nothing of a setting is written twice. A `Settings` object checks
itself when it is made, whoever makes it: one that exists is valid.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import os
import re
import sys
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, Gt, Le, MinLen, Predicate

from pipeline.base.errors import ConfigError


class Settings:
    """Base of all dataclasses of settings.

    Raises:
        ConfigError: A field has a value that it cannot have: the field, the value, what is expected.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"use_attribute_docstrings": True}
    """The sentences under the fields stand in Prefect's form too."""

    def __post_init__(self) -> None:
        for one in list_fields(type(self)):
            value = one.take(getattr(self, one.name))
            object.__setattr__(self, one.name, value)


AnySettings = TypeVar("AnySettings", bound=Settings)


class Spelled(Predicate):
    """A bound of a text: how it is spelled."""

    def __init__(self, pattern: str, words: str) -> None:
        """The whole text fits a regular expression; and what it must be, for a person."""
        super().__init__(lambda text: re.fullmatch(pattern, text) is not None)
        object.__setattr__(self, "words", words)

    words: str


@dataclass(frozen=True)
class Field:
    """One setting."""

    name: str
    annotation: Any
    """The type, with its bounds."""
    default: Any
    """``dataclasses.MISSING`` if it must be given."""
    owner: Hashable
    """The dataclass that has it."""

    @property
    def text(self) -> str:
        """What it means: the docstring under the field, on one line."""
        return _read_texts(self.owner).get(self.name, "")

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    @property
    def type(self) -> Any:
        """The type without its bounds."""
        return get_args(self.annotation)[0] if _is(self.annotation, Annotated) else self.annotation

    @property
    def choices(self) -> tuple[str, ...]:
        """What it, or each item of a list, can be; empty if that is not a closed list."""
        kind = self.type
        kind = get_args(kind)[0] if _is(kind, tuple) else kind
        return tuple(filter(None, get_args(kind))) if _is(kind, Literal) else ()

    @property
    def bounds(self) -> str:
        """The bounds of a number in words; empty if there are none."""
        return _say_bounds(get_args(self.annotation)[1:]) if _is(self.annotation, Annotated) else ""

    @property
    def expected(self) -> str:
        """What it must be, in words: ``a whole number, 1 or more``."""
        return _describe(self.annotation)

    @property
    def help(self) -> str:
        """Its sentence for a person on a terminal, with its bounds."""
        text = self.text.replace("`", "")
        text = f"{text.removesuffix('.')} ({self.bounds})." if self.bounds else text
        return f"{text} May be given several times." if _is(self.type, tuple) else text

    def take(self, value: Any, where: str = "") -> Any:
        """A value as the field holds it: lists become tuples, paths become texts.

        Args:
            value: What was given.
            where: Which file and section, for the message.

        Raises:
            ConfigError: It cannot have that value.
        """
        if isinstance(value, list) and any(_is(one, tuple) for one in _either(self.type)):
            value = tuple(value)
        if isinstance(value, os.PathLike) and self.type is str:
            value = os.fspath(value)
        if not _fits(value, self.annotation):
            place = f"{where}: " if where else ""
            raise ConfigError(
                f"{place}{self.name} is {_spell(value)}.", f"It must be {self.expected}."
            )
        return value


def list_fields(kind: type[Any]) -> tuple[Field, ...]:
    """The fields of a dataclass in their order, with the docstrings under them."""
    return _list_fields(cast(Hashable, kind))


@cache
def _list_fields(kind: Any) -> tuple[Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        Field(
            one.name,
            hints[one.name],
            one.default if one.default_factory is MISSING else one.default_factory(),
            kind,
        )
        for one in fields(kind)
    )


@cache
def _read_texts(kind: Any) -> dict[str, str]:
    """The docstrings under the fields of a dataclass: only who tells of settings needs them."""
    texts: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        texts |= _read_docstrings(one.__module__).get(one.__name__, {})
    return texts


def find_field(kind: type[Any], name: str) -> Field:
    """One field of a dataclass."""
    return next(one for one in list_fields(kind) if one.name == name)


def make_settings(kind: type[AnySettings], values: Mapping[str, Any], where: str) -> AnySettings:
    """Settings from names and values, as a file or a person gives them.

    Args:
        kind: Which settings.
        values: By field.
        where: Which file and section, for messages.

    Raises:
        ConfigError: A name is unknown (the nearest known one is named), a value is wrong or missing.
    """
    refuse_unknown(values, (one.name for one in list_fields(kind)), where)
    taken = {
        one.name: one.take(values[one.name], where)
        for one in list_fields(kind)
        if one.name in values
    }
    for one in list_fields(kind):
        if one.is_required and one.name not in values:
            raise ConfigError(
                f"{where} lacks {one.name}.", f"It must be {one.expected}: {one.text}"
            )
    return kind(**taken)


def refuse_unknown(names: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse names that cannot be set.

    Raises:
        ConfigError: Names the nearest known one, and all.
    """
    known = tuple(known)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise ConfigError(
                f"{where}: {name!r} cannot be set.",
                (f"Did you mean {close[0]!r}? " if close else "")
                + f"Known: {', '.join(known) or 'none'}.",
            )


def _either(kind: Any) -> tuple[Any, ...]:
    """The types of a union; of any other, that type."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _is(kind: Any, origin: Any) -> bool:
    return get_origin(kind) is origin


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type and within its bounds. True is no number, and neither is NaN."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _fits(value, parts[0]) and all(_holds(bound, value) for bound in parts[1:])
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in parts)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = (parts[0],) * len(value) if parts[-1] is Ellipsis else parts
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in value.values())
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in parts)
    if kind is Any:
        return True
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if kind is int:
        return type(value) is int
    return isinstance(value, kind)


def _holds(bound: Any, value: Any) -> bool:
    if isinstance(bound, Ge):
        return bool(value >= cast(Any, bound.ge))
    if isinstance(bound, Gt):
        return bool(value > cast(Any, bound.gt))
    if isinstance(bound, Le):
        return bool(value <= cast(Any, bound.le))
    if isinstance(bound, MinLen):
        return len(value) >= bound.min_length
    if isinstance(bound, Spelled):
        return bool(bound.func(value))
    raise TypeError(f"no rule for the bound {bound!r}")


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}


def _describe(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bounds = _say_bounds(parts[1:])
        least = next((b.min_length for b in parts[1:] if isinstance(b, MinLen)), 0)
        if spelled := next((b for b in parts[1:] if isinstance(b, Spelled)), None):
            return spelled.words
        return (
            _describe(parts[0])
            + (f", {bounds}" if bounds else "")
            + (f", at least {least}" if least else "")
        )
    if origin is Literal:
        return f"one of: {', '.join(filter(None, parts))}"
    if origin is tuple:
        if _is(parts[0], Literal):
            return f"a list of some of: {', '.join(get_args(parts[0]))}"
        count = "" if parts[-1] is Ellipsis else f"{len(parts)} "
        return f"a list of {count}{_PLURALS.get(parts[0], 'tables')}"
    if origin in (Union, UnionType):
        return " or ".join(_describe(one) for one in parts if one is not NoneType)
    return _WORDS.get(kind, "a table")


def _say_bounds(bounds: Iterable[Any]) -> str:
    least = next((b.ge for b in bounds if isinstance(b, Ge)), None)
    most = next((b.le for b in bounds if isinstance(b, Le)), None)
    above = next((b.gt for b in bounds if isinstance(b, Gt)), None)
    if least is not None and most is not None:
        return f"from {least} to {most}"
    if least is not None:
        return f"{least} or more"
    return "" if above is None else f"above {above}"


def _spell(value: Any) -> str:
    """A value as a person wrote it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


@cache
def _read_docstrings(module: str) -> dict[str, dict[str, str]]:
    """Class -> field -> the docstring under it. Python itself forgets these: they are read from the source."""
    if module in ("builtins", "typing"):
        return {}
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {
                field.target.id: " ".join(text.value.value.split())
                for field, text in zip(node.body, node.body[1:], strict=False)
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            }
    return found

"""What a Parquet table and its columns are, and the columns that many tables have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLE_ID_BITS = 20
"""An example_id is shard ordinal x 2^20 + position: at most 1,048,576 samples in a shard."""


@dataclass(frozen=True)
class Column:
    """One column of a Parquet table."""

    name: str
    arrow: str
    """Arrow type: string, bool, int32, int64, uint16, uint32, float16, float32, float64, list<float16>,
    binary, timestamp (microseconds, UTC)."""
    unit: str
    meaning: str
    since: int = 1
    """The `storage.FORMAT` that brought it; it is null for files of an earlier one."""

    @property
    def duckdb(self) -> str:
        """The type that DuckDB reads it as."""
        return _DUCKDB_TYPES[self.arrow]


_DUCKDB_TYPES = {
    "string": "varchar",
    "bool": "boolean",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint16": "usmallint",
    "uint32": "uinteger",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "list<float16>": "float[]",
    "list<float32>": "float[]",
    "timestamp": "timestamptz",
    "binary": "blob",
}


@dataclass(frozen=True)
class Table:
    """One Parquet table.

    ``name`` is also its folder; the view over it is ``raw_<name>``.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partitions: tuple[str, ...] = ("dataset",)
    meaning: str = ""
    column_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_names", tuple(c.name for c in self.columns))

    def arrow_schema(self) -> pa.Schema:
        """The pyarrow schema of one file."""
        import pyarrow as pa

        kinds = {
            "string": pa.string(),
            "bool": pa.bool_(),
            "int16": pa.int16(),
            "int32": pa.int32(),
            "int64": pa.int64(),
            "uint16": pa.uint16(),
            "uint32": pa.uint32(),
            "float16": pa.float16(),
            "float32": pa.float32(),
            "float64": pa.float64(),
            "list<float16>": pa.list_(pa.float16()),
            "list<float32>": pa.list_(pa.float32()),
            "timestamp": pa.timestamp("us", tz="UTC"),
            "binary": pa.binary(),
        }
        return pa.schema([(c.name, kinds[c.arrow]) for c in self.columns])


EXAMPLE_ID = Column("example_id", "int64", "id", "shard ordinal x 2^20 + position in the shard")
"""In every table that has a row for an example."""
PARTITIONS = {
    "dataset": Column("dataset", "string", "", "name of the dataset"),
    "run_id": Column("run_id", "string", "", "the run"),
    "layer": Column("layer", "string", "", "module path, point and pooling"),
    "class_set": Column("class_set", "string", "", "the classes that it was chosen from"),
    "facet": Column("facet", "string", "", "what it tells: rendered word, colour drawing, ..."),
}
"""What the names of folders say."""
PEAK = Column(
    "peak",
    "int32",
    "index 0..",
    "where the activation is largest, of a layer that pools by max: row x columns + column of its grid, "
    "or the token; of equal ones the first; null for other poolings",
    since=3,
)
"""In every table that has an activation of an example, one in a row."""
UNIT = Column("unit", "int32", "index 0..", "position of the neuron inside its layer")
OF_RUN = ("dataset", "run_id")
OF_LAYER = ("dataset", "run_id", "layer")

REJECT_COLUMNS = (
    Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
    Column(
        "position",
        "int32",
        "index 0..",
        "place of the sample in its shard (stage source: in the source's list); null for a shard",
    ),
    Column(
        "shard_key",
        "string",
        "",
        "the sample's key, or the name of a further image; null when the whole shard is meant",
    ),
    Column("stage", "string", "", "where: source, index, decode, text, forward; shard: all of it"),
    Column("reason", "string", "", "a word to count by, such as image_truncated"),
    Column("detail", "string", "", "what was seen, for a person"),
)

"""Checksums of files, and of records: small JSON files that carry their own.

XXH3 of 64 bits sees every flipped bit and costs less than reading the file. It guards against accidents,
not against people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO

import xxhash

_BLOCK_BYTES = 1 << 20
_SEAL = re.compile(rb'"checksum": "(xxh3:[0-9a-f]{16})"\n\}\n\Z')
_BLANK = b"xxh3:" + 16 * b"0"


def hash_bytes(data: bytes) -> str:
    """XXH3 of some bytes, as ``xxh3:0123456789abcdef``."""
    return f"xxh3:{xxhash.xxh3_64_hexdigest(data)}"


def hash_stream(file: IO[bytes]) -> str:
    """XXH3 of all that is left of an open file, in bounded memory."""
    digest = xxhash.xxh3_64()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return f"xxh3:{digest.hexdigest()}"


def encode_json(value: object) -> bytes:
    """JSON as we write it: one line for each item, UTF-8, and a line break at the end."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def seal(record: Mapping[str, object], is_compact: bool = False) -> bytes:
    """A record as JSON: its format first, and on its last line the checksum of these very bytes.

    The checksum is that of the same bytes with zeros in its place. If it ``is_compact``, all else stands
    on one line.
    """
    fields = {name: value for name, value in record.items() if name not in ("format", "checksum")}
    whole = {"format": record["format"], **fields}
    if is_compact:
        text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
        data = f'{text[:-1]},\n"checksum": "{_BLANK.decode()}"\n}}\n'.encode()
    else:
        data = encode_json({**whole, "checksum": _BLANK.decode()})
    return data[: data.rindex(_BLANK)] + hash_bytes(data).encode() + b'"\n}\n'


def read_seal(data: bytes) -> str:
    """The checksum that a record says of itself, whether it holds or not; empty if it says none."""
    found = _SEAL.search(data, max(0, len(data) - 64))
    return found[1].decode() if found else ""


def find_seal_problem(data: bytes) -> str:
    """What a record's checksum says against its bytes; empty if it holds, or if an older one has none."""
    found = _SEAL.search(data)
    if found is None:
        is_older = b'"checksum"' not in data[-64:] and b'"format"' not in data[:32]
        return "" if is_older else "has no checksum, which its format asks for"
    blank = data[: found.start(1)] + _BLANK + data[found.end(1) :]
    return "" if hash_bytes(blank) == found[1].decode() else "has another checksum than it says"

"""Reads archives of format 1. Written from docs/format.md, with the standard library alone.

python format_reader.py ARCHIVE [further archives that it borrows from]    prints each table's name and number of rows
"""

import base64
import hashlib
import io
import json
import sys
import tarfile
import zlib
from pathlib import Path

FOOTERS = {"gzip": (66, 16), "none": (512, 0)}  # codec: the footer's length, where its payload begins


def require(condition, reason):
    if not condition:
        raise ValueError(reason)


def body_of(stored, codec):
    """The name and the body of a stored entry."""
    if codec == "gzip":
        unpacker = zlib.decompressobj(wbits=31)
        stored = unpacker.decompress(stored)
        require(unpacker.eof and not unpacker.unused_data, "not exactly one gzip member")
    with tarfile.open(fileobj=io.BytesIO(stored)) as tar:
        entry = tar.next()
        return entry.name, tar.extractfile(entry).read()


def manifest_of(archive):
    for codec, (length, start) in FOOTERS.items():
        payload = archive[-length:][start : start + 40]
        if payload[:8] == b"BKUPCTR1":
            offset, stored = int(payload[8:24], 16), int(payload[24:40], 16)
            name, body = body_of(archive[offset : offset + stored], codec)
            manifest = json.loads(body)
            require(name == "manifest.json" and manifest["format"] == 1 and manifest["codec"] == codec, "not format 1")
            return manifest
    raise ValueError("incomplete: there is no footer")


def rows_of(table, manifest, archives):
    """All rows of a table, each chunk verified before it is used."""
    for number, chunk in enumerate(table["chunks"], 1):
        stored = archives[chunk["archive"]][chunk["offset"] : chunk["offset"] + chunk["length"]]
        require(hashlib.sha256(stored).hexdigest() == chunk["stored_sha256"], "damaged bytes")
        _name, body = body_of(stored, manifest["codec"])
        require(len(body) == chunk["size"] and hashlib.sha256(body).hexdigest() == chunk["sha256"], "damaged rows")
        rows = json.loads(body)
        names = [column["name"] for column in table["columns"]]
        require(len(rows) == chunk["rows"] and all(len(row) == len(names) for row in rows), "not its rows")
        if number < len(table["chunks"]):
            require([rows[-1][names.index(name)] for name in table["key"]] == chunk["upto"], "not its range")
        yield from ([value_of(value) for value in row] for row in rows)


def value_of(value):
    """A value as Python has it: only SQLite's blobs and infinities are written as something else."""
    if isinstance(value, dict):
        [(tag, text)] = value.items()
        return {"$blob": base64.b64decode, "$real": float}[tag](text)
    return value


def read(paths):
    """The manifest of the first archive, and every row of every table of it, by label."""
    files = [Path(path).read_bytes() for path in paths]
    archives = {manifest_of(archive)["id"]: archive for archive in files}
    manifest = manifest_of(files[0])
    found = {table["label"]: list(rows_of(table, manifest, archives)) for table in manifest["tables"]}
    for table in manifest["tables"]:
        require(len(found[table["label"]]) == table["rows"], "rows are missing")
    return manifest, found


if __name__ == "__main__":
    for label, rows in read(sys.argv[1:])[1].items():
        print(label, len(rows))  # noqa: T201

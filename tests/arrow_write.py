"""Writes Arrow IPC streams of forms that the server itself never sends: dictionaries, compressed bodies."""

import struct

CONTINUATION = b"\xff\xff\xff\xff"
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
INT, FLOAT, UTF8, LIST, UNION, UTF8_VIEW = 2, 3, 5, 12, 14, 24
LZ4, ZSTD = 0, 1


class Builder:
    """FlatBuffers from front to back. A table is {field: (code, number) or table, list, text or Structs}."""

    def __init__(self, root):
        self.out = bytearray(4)
        self._point(0, self._put(root))

    def _point(self, place, target):
        struct.pack_into("<I", self.out, place, target - place)

    def _align(self, size, before=0):
        while (len(self.out) + before) % size:
            self.out.append(0)

    def _put(self, value):
        if isinstance(value, dict):
            return self._table(value)
        self._align(8, 4)
        at = len(self.out)
        if isinstance(value, list):
            self.out += struct.pack("<I", len(value)) + bytes(4 * len(value))
            for i, item in enumerate(value):
                self._point(at + 4 + 4 * i, self._put(item))
        elif isinstance(value, str):
            self.out += struct.pack("<I", len(value.encode())) + value.encode() + b"\0"
        else:  # pairs of 64-bit numbers
            self.out += struct.pack("<I", len(value)) + b"".join(struct.pack("<qq", *pair) for pair in value)
        return at

    def _table(self, fields):
        size = 2 * (max(fields, default=-1) + 1) + 4
        self._align(8)
        vtable = len(self.out)
        self.out += bytes(size)
        self._align(8)
        at = len(self.out)
        self.out += struct.pack("<i", at - vtable) + bytes(4) + bytes(8 * len(fields))
        struct.pack_into("<HH", self.out, vtable, size, 8 + 8 * len(fields))
        for i, (field, value) in enumerate(fields.items()):
            offset = 8 + 8 * i
            struct.pack_into("<H", self.out, vtable + 4 + 2 * field, offset)
            if isinstance(value, tuple) and value and isinstance(value[0], str):
                struct.pack_into("<" + value[0], self.out, at + offset, value[1])
            else:
                self._point(at + offset, self._put(value))
        return at


def message(kind, header, body=b""):
    meta = bytes(Builder({0: ("h", 4), 1: ("B", kind), 2: header, 3: ("q", len(body))}).out)
    meta += bytes(-len(meta) % 8)
    return CONTINUATION + struct.pack("<I", len(meta)) + meta + body


def integer(bits=32):
    return {0: ("i", bits), 1: ("B", 1)}


def field(name, kind, type_table, dictionary=None):
    table = {0: name, 1: ("B", 1), 2: ("B", kind), 3: type_table, 5: []}
    if dictionary is not None:
        table[4] = {0: ("q", dictionary), 1: integer(8)}
    return table


def batch(rows, nodes, buffers, codec=None, pack=None):
    """The header and the body of a batch."""
    body, places = b"", []
    for data in buffers:
        if codec is not None and data:
            data = struct.pack("<q", len(data)) + pack(data) if pack else struct.pack("<q", -1) + data
        places.append((len(body), len(data)))
        body += data + bytes(-len(data) % 8)
    header = {0: ("q", rows), 1: tuple(nodes), 2: tuple(places)}
    if codec is not None:
        header[3] = {0: ("b", codec)}
    return header, body


def stream(fields, *messages):
    schema = message(SCHEMA, {1: fields})
    return schema + b"".join(messages) + CONTINUATION + bytes(4)


def texts(values):
    """The buffers of a text column without NULLs."""
    offsets = [0]
    for v in values:
        offsets.append(offsets[-1] + len(v.encode()))
    return [b"", struct.pack(f"<{len(offsets)}i", *offsets), "".join(values).encode()]

"""Reads an Arrow IPC stream into Python values: framing, schema, and the columns of every type the server sends."""

import struct

CONTINUATION = b"\xff\xff\xff\xff"
SCHEMA, RECORD_BATCH = 1, 3
NAMES = {1: "null", 2: "int", 3: "float", 4: "binary", 5: "utf8", 6: "bool", 7: "decimal", 8: "date", 9: "time",
         10: "timestamp", 11: "interval", 12: "list", 13: "struct", 14: "union", 15: "fixed_binary", 16: "fixed_list",
         17: "map"}


class Table:
    """A FlatBuffers table."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from("<i", data, at)[0]
        self.size = struct.unpack_from("<H", data, self.vtable)[0]

    def _offset(self, field):
        place = 4 + 2 * field
        return struct.unpack_from("<H", self.data, self.vtable + place)[0] if place < self.size else 0

    def number(self, field, code, default=0):
        offset = self._offset(field)
        if offset:
            size = struct.calcsize(code)
            assert (self.at + offset) % size == 0, "a number is not aligned"
            return struct.unpack_from("<" + code, self.data, self.at + offset)[0]
        return default

    def _link(self, field):
        offset = self._offset(field)
        if not offset:
            return None
        at = self.at + offset
        return at + struct.unpack_from("<I", self.data, at)[0]

    def table(self, field):
        at = self._link(field)
        return None if at is None else Table(self.data, at)

    def text(self, field):
        at = self._link(field)
        if at is None:
            return None
        n = struct.unpack_from("<I", self.data, at)[0]
        assert self.data[at + 4 + n] == 0, "a string without its NUL"
        return self.data[at + 4:at + 4 + n].decode()

    def tables(self, field):
        at = self._link(field)
        if at is None:
            return []
        n = struct.unpack_from("<I", self.data, at)[0]
        places = [at + 4 + 4 * i for i in range(n)]
        return [Table(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in places]

    def structs(self, field, code):
        at = self._link(field)
        if at is None:
            return []
        n = struct.unpack_from("<I", self.data, at)[0]
        size = struct.calcsize("<" + code)
        return [struct.unpack_from("<" + code, self.data, at + 4 + i * size) for i in range(n)]


class Field:
    def __init__(self, table):
        self.name = table.text(0) or ""
        self.nullable = bool(table.number(1, "B"))
        self.kind = NAMES[table.number(2, "B")]
        self.type = table.table(3)
        self.children = [Field(t) for t in table.tables(5)]
        self.metadata = {t.text(0): t.text(1) for t in table.tables(6)}

    def __repr__(self):
        return f"{self.name}:{self.kind}{self.children or ''}"


class Stream:
    """schema: fields; batches: row counts; columns: name and values, in order."""

    def __init__(self, data):
        self.fields, self.batches, self.ended = None, [], False
        at = 0
        while at < len(data):
            assert not self.ended, "bytes behind the end of the stream"
            assert data[at:at + 4] == CONTINUATION, f"no continuation marker at {at}"
            size = struct.unpack_from("<i", data, at + 4)[0]
            at += 8
            if size == 0:
                self.ended = True
                continue
            assert size > 0 and size % 8 == 0, f"metadata of {size} bytes"
            message = Table(data[at:at + size], struct.unpack_from("<I", data, at)[0])
            at += size
            assert message.number(0, "h") == 4, "not version 5 of the metadata"
            body = message.number(3, "q")
            assert body % 8 == 0 and at + body <= len(data)
            self._message(message.number(1, "B"), message.table(2), data[at:at + body])
            at += body
        assert self.ended, "no end of stream"

    def _message(self, kind, header, body):
        if kind == SCHEMA:
            assert self.fields is None, "two schemas"
            assert header.number(0, "h") == 0, "big endian"
            self.fields = [Field(t) for t in header.tables(1)]
            self.columns = [[] for _ in self.fields]
            return
        assert kind == RECORD_BATCH and self.fields is not None
        rows = header.number(0, "q")
        batch = Batch(header.structs(1, "qq"), header.structs(2, "qq"), body)
        for i, field in enumerate(self.fields):
            values = batch.read(field)
            assert len(values) == rows
            self.columns[i] += values
        batch.finish()
        self.batches.append(rows)

    @property
    def names(self):
        return [f.name for f in self.fields]

    @property
    def rows(self):
        return [list(row) for row in zip(*self.columns)]


class Batch:
    def __init__(self, nodes, buffers, body):
        self.nodes, self.buffers, self.body = nodes, buffers, body
        self.node = self.buffer = 0
        end = 0
        for offset, length in buffers:
            assert offset % 8 == 0 and offset >= end and offset + length <= len(body), "a buffer outside its place"
            end = offset + length

    def finish(self):
        assert self.node == len(self.nodes) and self.buffer == len(self.buffers), "nodes or buffers left over"

    def _bytes(self):
        offset, length = self.buffers[self.buffer]
        self.buffer += 1
        return self.body[offset:offset + length]

    def _validity(self, rows, nulls):
        bits = self._bytes()
        if not bits:
            assert nulls == 0, "NULLs without validity bits"
            return [True] * rows
        valid = [bool(bits[i // 8] >> i % 8 & 1) for i in range(rows)]
        assert valid.count(False) == nulls, "the count of NULLs is wrong"
        return valid

    def _cells(self, code, rows):
        data = self._bytes()
        assert len(data) >= rows * struct.calcsize(code)
        return list(struct.unpack_from(f"<{rows}{code}", data))

    def _offsets(self, rows):
        data = self._bytes()
        if rows == 0 and not data:
            return [0]
        offsets = list(struct.unpack_from(f"<{rows + 1}i", data))
        assert offsets[0] == 0 and offsets == sorted(offsets)
        return offsets

    def read(self, field):
        rows, nulls = self.nodes[self.node]
        self.node += 1
        kind = field.kind
        if kind == "null":
            return [None] * rows
        if kind == "union":
            return self._union(field, rows)
        valid = self._validity(rows, nulls)
        values = getattr(self, "_read_" + kind)(field, rows)
        return [v if ok else None for v, ok in zip(values, valid)]

    def _read_int(self, field, rows):
        code = {8: "b", 16: "h", 32: "i", 64: "q"}[field.type.number(0, "i")]
        return self._cells(code if field.type.number(1, "B") else code.upper(), rows)

    def _read_float(self, field, rows):
        return self._cells({1: "f", 2: "d"}[field.type.number(0, "h")], rows)

    def _read_bool(self, _, rows):
        bits = self._bytes()
        return [bool(bits[i // 8] >> i % 8 & 1) for i in range(rows)]

    def _pieces(self, rows):
        offsets = self._offsets(rows)
        data = self._bytes()
        assert offsets[-1] <= len(data)
        return [data[a:b] for a, b in zip(offsets, offsets[1:])]

    def _read_utf8(self, _, rows):
        return [p.decode() for p in self._pieces(rows)]

    def _read_binary(self, _, rows):
        return self._pieces(rows)

    def _read_decimal(self, field, rows):
        assert field.type.number(2, "i", 128) == 128
        data = self._bytes()
        return [(int.from_bytes(data[16 * i:16 * i + 16], "little", signed=True), field.type.number(1, "i"))
                for i in range(rows)]

    def _read_date(self, field, rows):
        assert field.type.number(0, "h", 1) == 0, "not days"
        return self._cells("i", rows)

    def _read_time(self, _, rows):
        return self._cells("q", rows)

    def _read_timestamp(self, _, rows):
        return self._cells("q", rows)

    def _read_interval(self, field, rows):
        assert field.type.number(0, "h") == 2, "not months, days and nanoseconds"
        data = self._bytes()
        return [struct.unpack_from("<iiq", data, 16 * i) for i in range(rows)]

    def _read_fixed_binary(self, field, rows):
        n = field.type.number(0, "i")
        data = self._bytes()
        return [data[n * i:n * i + n] for i in range(rows)]

    def _read_list(self, field, rows):
        offsets = self._offsets(rows)
        items = self.read(field.children[0])
        assert offsets[-1] == len(items)
        return [items[a:b] for a, b in zip(offsets, offsets[1:])]

    def _read_map(self, field, rows):
        return [{e["key"]: e["value"] for e in entries} for entries in self._read_list(field, rows)]

    def _read_fixed_list(self, field, rows):
        n = field.type.number(0, "i")
        items = self.read(field.children[0])
        return [items[n * i:n * i + n] for i in range(rows)]

    def _read_struct(self, field, rows):
        columns = [self.read(child) for child in field.children]
        names = [child.name for child in field.children]
        return [dict(zip(names, cells)) for cells in zip(*columns)] if columns else [{}] * rows

    def _union(self, field, rows):
        tags = self._cells("b", rows)
        members = [self.read(child) for child in field.children]
        return [members[t][i] for i, t in enumerate(tags)]

"""Iceberg tables seen from outside: a reader (icebird), an Avro decoder of our own, and the format's rules."""

import json
import os
import re
import struct
import subprocess
import urllib.parse
import uuid
import zlib

READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "icebird", "read.mjs")


def path_of(uri):
    assert uri.startswith("file:///"), uri
    return urllib.parse.unquote(uri[len("file://"):])


# The other reader

class Reader:
    """icebird in a process of its own, asked line by line."""

    def __init__(self):
        self.process = subprocess.Popen(["node", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        answer["rows"] = [[cell(c) for c in row] for row in answer["rows"]]
        return answer

    def table(self, metadata, snapshot=None):
        more = {} if snapshot is None else {"snapshot": snapshot}
        return self.ask(metadata=metadata, **more)

    def parquet(self, uri):
        return self.ask(parquet=uri)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def cell(c):
    if c is None or isinstance(c, bool):
        return c
    kind, value = c
    if kind == "i":
        return int(value)
    if kind == "n":
        return float(value.replace("Infinity", "inf"))
    if kind == "b":
        return bytes.fromhex(value)
    if kind == "l":
        return [cell(v) for v in value]
    if kind == "o":
        return {k: cell(v) for k, v in value.items()}
    return value


# Avro

class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert 0 <= n <= len(self.data) - self.at, "past the end"
        self.at += n
        return self.data[self.at - n:self.at]

    def long(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            shift += 7
            if not byte & 0x80:
                return value >> 1 ^ -(value & 1)

    def block(self):
        """The bytes of a string or of bytes."""
        return self.take(self.long())


def avro_value(b, schema):
    if isinstance(schema, list):
        return avro_value(b, schema[b.long()])
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "null":
        return None
    if kind in ("int", "long"):
        return b.long()
    if kind == "boolean":
        return b.take(1) == b"\1"
    if kind == "bytes":
        return b.block()
    if kind == "string":
        return b.block().decode()
    if kind == "array":
        items = []
        while True:
            count = b.long()
            if count == 0:
                return items
            if count < 0:
                count = -count
                b.long()
            items += [avro_value(b, schema["items"]) for _ in range(count)]
    assert kind == "record", kind
    return {f["name"]: avro_value(b, f["type"]) for f in schema["fields"]}


def avro_file(path):
    """Header (texts), schema, records."""
    with open(path, "rb") as f:
        b = Bytes(f.read())
    assert b.take(4) == b"Obj\1"
    header = {}
    while True:
        count = b.long()
        if count == 0:
            break
        for _ in range(count):
            key = b.block().decode()
            header[key] = b.block().decode()
    sync = b.take(16)
    schema = json.loads(header["avro.schema"])
    records = []
    while b.at < len(b.data):
        count = b.long()
        data = b.block()
        if header["avro.codec"] == "deflate":
            data = zlib.decompress(data, wbits=-15)
        else:
            assert header["avro.codec"] == "null", header["avro.codec"]
        block = Bytes(data)
        records += [avro_value(block, schema) for _ in range(count)]
        assert block.at == len(data), "bytes left over"
        assert b.take(16) == sync
    return header, schema, records


def avro_ids(schema):
    """id to (name, type, optional) of every field, entry and element."""
    ids = {}

    def add(number, name, kind, optional):
        assert isinstance(number, int) and number not in ids, (name, number)
        ids[number] = (name, kind if isinstance(kind, str) else kind["type"], optional)

    def walk(kind):
        if isinstance(kind, dict) and kind["type"] == "record":
            for f in kind["fields"]:
                field(f)
        elif isinstance(kind, dict) and kind["type"] == "array":
            is_map = isinstance(kind["items"], dict) and kind.get("logicalType") == "map"
            if not is_map:
                add(kind["element-id"], "element", kind["items"], False)
            walk(kind["items"])

    def field(f):
        kind, optional = f["type"], False
        if isinstance(kind, list):
            assert kind[0] == "null" and len(kind) == 2 and f["default"] is None, f
            kind, optional = kind[1], True
        add(f.get("field-id"), f["name"], kind, optional)
        walk(kind)

    walk(schema)
    return ids


def _map(number, name, key, value, kind):
    return {number: (name, "array", True), key: ("key", "int", False), value: ("value", kind, False)}


LIST_IDS = {
    500: ("manifest_path", "string", False), 501: ("manifest_length", "long", False),
    502: ("partition_spec_id", "int", False), 517: ("content", "int", False),
    515: ("sequence_number", "long", False), 516: ("min_sequence_number", "long", False),
    503: ("added_snapshot_id", "long", False), 504: ("added_files_count", "int", False),
    505: ("existing_files_count", "int", False), 506: ("deleted_files_count", "int", False),
    512: ("added_rows_count", "long", False), 513: ("existing_rows_count", "long", False),
    514: ("deleted_rows_count", "long", False), 507: ("partitions", "array", True), 508: ("element", "record", False),
    509: ("contains_null", "boolean", False), 518: ("contains_nan", "boolean", True),
    510: ("lower_bound", "bytes", True), 511: ("upper_bound", "bytes", True), 519: ("key_metadata", "bytes", True),
}
MANIFEST_IDS = {
    0: ("status", "int", False), 1: ("snapshot_id", "long", True), 3: ("sequence_number", "long", True),
    4: ("file_sequence_number", "long", True), 2: ("data_file", "record", False), 134: ("content", "int", False),
    100: ("file_path", "string", False), 101: ("file_format", "string", False), 102: ("partition", "record", False),
    103: ("record_count", "long", False), 104: ("file_size_in_bytes", "long", False),
    **_map(108, "column_sizes", 117, 118, "long"), **_map(109, "value_counts", 119, 120, "long"),
    **_map(110, "null_value_counts", 121, 122, "long"), **_map(137, "nan_value_counts", 138, 139, "long"),
    **_map(125, "lower_bounds", 126, 127, "bytes"), **_map(128, "upper_bounds", 129, 130, "bytes"),
    131: ("key_metadata", "bytes", True), 132: ("split_offsets", "array", True), 133: ("element", "long", False),
    135: ("equality_ids", "array", True), 136: ("element", "int", False), 140: ("sort_order_id", "int", True),
    143: ("referenced_data_file", "string", True),
}
ADDED, DELETED = 1, 2
FILE_PATH, POS = 2147483546, 2147483545
COUNTS = ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")


# Schemas

def leaves(schema):
    """Field id to (path, type, required, inside a list or map) of every primitive column."""
    found = {}

    def walk(kind, number, path, required, repeated):
        if isinstance(kind, str):
            found[number] = (path, kind, required, repeated)
        elif kind["type"] == "struct":
            for f in kind["fields"]:
                walk(f["type"], f["id"], path + [f["name"]], required and f["required"], repeated)
        elif kind["type"] == "list":
            walk(kind["element"], kind["element-id"], path + ["list", "element"], False, True)
        else:
            walk(kind["key"], kind["key-id"], path + ["key_value", "key"], False, True)
            walk(kind["value"], kind["value-id"], path + ["key_value", "value"], False, True)

    for f in schema["fields"]:
        walk(f["type"], f["id"], [f["name"]], f["required"], False)
    return found


def bare(kind):
    """Names, types and ids: whether a column is required is known only when all its rows are written."""
    if isinstance(kind, list):
        return [bare(k) for k in kind]
    if isinstance(kind, dict):
        return {k: bare(v) for k, v in kind.items() if "required" not in k and k != "schema-id"}
    return kind


def all_ids(kind):
    """Ids of all fields below a type, nested ones too."""
    if isinstance(kind, str):
        return []
    if kind["type"] == "struct":
        return [i for f in kind["fields"] for i in [f["id"]] + all_ids(f["type"])]
    if kind["type"] == "list":
        return [kind["element-id"]] + all_ids(kind["element"])
    return [kind["key-id"], kind["value-id"]] + all_ids(kind["key"]) + all_ids(kind["value"])


PRIMITIVE = re.compile(r"boolean|int|long|float|double|date|time|timestamp|timestamptz|string|uuid|binary|"
                       r"decimal\(\d+, ?\d+\)|fixed\[\d+\]")


def check_type(kind):
    if isinstance(kind, str):
        assert PRIMITIVE.fullmatch(kind), kind
    elif kind["type"] == "struct":
        for f in kind["fields"]:
            assert isinstance(f["required"], bool) and f["name"]
            check_type(f["type"])
    elif kind["type"] == "list":
        assert isinstance(kind["element-required"], bool)
        check_type(kind["element"])
    else:
        assert kind["type"] == "map" and isinstance(kind["value-required"], bool)
        check_type(kind["key"])
        check_type(kind["value"])


def bound(kind, data):
    """A single value in its binary form."""
    sizes = {"boolean": "<?", "int": "<i", "date": "<i", "long": "<q", "time": "<q", "timestamp": "<q",
             "timestamptz": "<q", "float": "<f", "double": "<d"}
    if kind in sizes:
        code = sizes[kind]
        if kind == "long" and len(data) == 4:  # of a file from before the column was widened
            code = "<i"
        if kind == "double" and len(data) == 4:
            code = "<f"
        assert len(data) == struct.calcsize(code), (kind, data)
        return struct.unpack(code, data)[0]
    if kind.startswith("decimal"):
        value = int.from_bytes(data, "big", signed=True)
        least = max(1, (value if value >= 0 else ~value).bit_length() // 8 + 1)
        assert len(data) == least, "not the shortest form"
        return value
    if kind == "string":
        return data.decode()
    if kind == "uuid":
        assert len(data) == 16
    return data


# Metadata

REQUIRED = {"format-version": int, "table-uuid": str, "location": str, "last-sequence-number": int,
            "last-updated-ms": int, "last-column-id": int, "schemas": list, "current-schema-id": int,
            "partition-specs": list, "default-spec-id": int, "last-partition-id": int, "sort-orders": list,
            "default-sort-order-id": int}
OPTIONAL = {"properties": dict, "current-snapshot-id": int, "refs": dict, "snapshots": list, "snapshot-log": list,
            "metadata-log": list, "statistics": list, "partition-statistics": list}


def check_members(m):
    for name, kind in REQUIRED.items():
        assert isinstance(m[name], kind) and not isinstance(m[name], bool), name
    for name, value in m.items():
        assert isinstance(value, REQUIRED.get(name) or OPTIONAL[name]), name
    assert m["format-version"] == 2 and str(uuid.UUID(m["table-uuid"])) == m["table-uuid"]
    assert not m["location"].endswith("/") and m["location"].startswith("file:///")
    assert all(isinstance(v, str) for v in m.get("properties", {}).values())
    assert m["partition-specs"] == [{"spec-id": 0, "fields": []}] and m["default-spec-id"] == 0
    assert m["last-partition-id"] == 999
    assert m["sort-orders"] == [{"order-id": 0, "fields": []}] and m["default-sort-order-id"] == 0


def check_schemas(m):
    numbers = [s["schema-id"] for s in m["schemas"]]
    assert len(set(numbers)) == len(numbers) and m["current-schema-id"] in numbers
    bodies = [json.dumps({k: v for k, v in s.items() if k != "schema-id"}, sort_keys=True) for s in m["schemas"]]
    assert len(set(bodies)) == len(bodies), "the same schema twice"
    for s in m["schemas"]:
        assert s["type"] == "struct"
        check_type(s)
        ids = all_ids(s)
        assert len(set(ids)) == len(ids) and min(ids) > 0 and max(ids) <= m["last-column-id"] < 2147483447
        names = [f["name"] for f in s["fields"]]
        assert len(set(names)) == len(names)


def check_snapshots(m):
    snapshots = m.get("snapshots", [])
    numbers = [s["snapshot-id"] for s in snapshots]
    assert len(set(numbers)) == len(numbers) and all(0 < n < 2**53 for n in numbers)
    current = m.get("current-snapshot-id")
    assert (current in numbers) if current is not None else not snapshots
    if current is not None:
        assert m["refs"]["main"]["snapshot-id"] == current and m["refs"]["main"]["type"] == "branch"
        assert m["snapshot-log"][-1]["snapshot-id"] == current
    sequence = 0
    parent = None
    for s in snapshots:
        assert s.get("parent-snapshot-id") == parent or s["parent-snapshot-id"] in numbers
        parent = s["snapshot-id"]
        assert s["sequence-number"] > sequence, "sequence numbers ascend"
        sequence = s["sequence-number"]
        assert s["timestamp-ms"] <= m["last-updated-ms"]
        assert s["schema-id"] in [x["schema-id"] for x in m["schemas"]]
        assert s["summary"]["operation"] in ("append", "replace", "overwrite", "delete")
        assert all(isinstance(v, str) for v in s["summary"].values())
    assert m["last-sequence-number"] == sequence or not snapshots
    times = [e["timestamp-ms"] for e in m.get("snapshot-log", [])]
    assert times == sorted(times) and all(e["snapshot-id"] in numbers for e in m.get("snapshot-log", []))
    times = [e["timestamp-ms"] for e in m.get("metadata-log", [])]
    assert times == sorted(times) and len(times) <= 100
    for e in m.get("metadata-log", []):
        assert os.path.exists(path_of(e["metadata-file"])), e


def check_metadata(uri):
    """The parsed document, which keeps the rules."""
    assert re.fullmatch(r"\d{5}-[0-9a-f-]{36}\.metadata\.json", os.path.basename(uri)), uri
    with open(path_of(uri), encoding="utf-8") as f:
        m = json.load(f)
    assert uri.startswith(m["location"] + "/metadata/")
    check_members(m)
    check_schemas(m)
    check_snapshots(m)
    return m


# Manifests

def inherit(entry, manifest):
    """Numbers that a new file takes from the manifest list."""
    if entry["status"] == ADDED:
        for member, value in (("snapshot_id", manifest["added_snapshot_id"]),
                              ("sequence_number", manifest["sequence_number"]),
                              ("file_sequence_number", manifest["sequence_number"])):
            if entry[member] is None:
                entry[member] = value
    assert None not in (entry["snapshot_id"], entry["sequence_number"], entry["file_sequence_number"]), entry
    assert entry["file_sequence_number"] <= manifest["sequence_number"]


def read_manifest(manifest, schemas):
    """The entries of a manifest, checked against what the list says of it."""
    path = path_of(manifest["manifest_path"])
    assert os.path.getsize(path) == manifest["manifest_length"]
    header, schema, entries = avro_file(path)
    assert avro_ids(schema) == MANIFEST_IDS
    assert header["format-version"] == "2" and header["partition-spec"] == "[]" and header["partition-spec-id"] == "0"
    assert header["content"] == ("deletes" if manifest["content"] else "data")
    assert json.loads(header["schema"]) in schemas and json.loads(header["schema"])["schema-id"] == int(header["schema-id"])
    assert entries, "an empty manifest"
    names = {0: "existing", ADDED: "added", DELETED: "deleted"}
    counts = {n: [0, 0] for n in names.values()}
    live = []
    for e in entries:
        inherit(e, manifest)
        counts[names[e["status"]]][0] += 1
        counts[names[e["status"]]][1] += e["data_file"]["record_count"]
        if e["status"] != DELETED:
            live.append(e["sequence_number"])
        assert e["data_file"]["content"] == (1 if manifest["content"] else 0)
    for name, (files, rows) in counts.items():
        assert manifest[f"{name}_files_count"] == files and manifest[f"{name}_rows_count"] == rows, name
    if live:
        assert manifest["min_sequence_number"] == min(live)
    return entries


def read_snapshot(m, snapshot):
    """The live entries of a snapshot: data files, delete files."""
    header, schema, manifests = avro_file(path_of(snapshot["manifest-list"]))
    assert avro_ids(schema) == LIST_IDS
    assert header["format-version"] == "2" and header["snapshot-id"] == str(snapshot["snapshot-id"])
    assert header["sequence-number"] == str(snapshot["sequence-number"])
    parent = snapshot.get("parent-snapshot-id")
    assert header["parent-snapshot-id"] == ("null" if parent is None else str(parent))
    data, deletes = [], []
    for manifest in manifests:
        assert manifest["partition_spec_id"] == 0 and manifest["partitions"] in ([], None)
        assert manifest["sequence_number"] <= snapshot["sequence-number"]
        entries = read_manifest(manifest, m["schemas"])
        (deletes if manifest["content"] else data).extend(e for e in entries if e["status"] != DELETED)
    paths = [e["data_file"]["file_path"] for e in data + deletes]
    assert len(set(paths)) == len(paths), "a file is live twice"
    return data, deletes


def check_totals(snapshot, data, deletes):
    totals = {"total-data-files": len(data), "total-delete-files": len(deletes),
              "total-records": sum(e["data_file"]["record_count"] for e in data),
              "total-position-deletes": sum(e["data_file"]["record_count"] for e in deletes),
              "total-files-size": sum(e["data_file"]["file_size_in_bytes"] for e in data + deletes),
              "total-equality-deletes": 0}
    for name, value in totals.items():
        if name in snapshot["summary"]:
            assert snapshot["summary"][name] == str(value), (name, value, snapshot["summary"])
    assert "total-records" in snapshot["summary"] and "total-data-files" in snapshot["summary"]


def pairs(data_file, member):
    items = data_file[member] or []
    keys = [i["key"] for i in items]
    assert len(set(keys)) == len(keys), member
    return {i["key"]: i["value"] for i in items}


def column(rows, columns, path):
    """The values of a column, or of a field of a struct."""
    at = columns.index(path[0])
    values = [row[at] for row in rows]
    for name in path[1:]:
        values = [None if v is None else v[name] for v in values]
    return values


def is_nan(v):
    return isinstance(v, float) and v != v


def comparable(kind, value):
    """As a bound is compared."""
    if kind.startswith("decimal"):
        return value
    if kind == "string":
        return [ord(ch) for ch in value]
    return value


def check_bounds(kind, values, lower, upper, rounded=()):
    """Bounds hold the values; those of fixed width are the least and the greatest."""
    values = [comparable(kind, v) for v in values if v is not None and not is_nan(v)]
    if not values:
        assert lower is None and upper is None
        return
    if kind.startswith("decimal"):  # the other reader has them as doubles
        factor = 10.0 ** -int(re.search(r", ?(\d+)", kind)[1])
        lower, upper = [None if b is None else bound(kind, b) * factor for b in (lower, upper)]
        near = 1e-12 * max(1.0, *map(abs, values))
        assert lower is None or abs(lower - min(values)) <= near
        assert upper is None or abs(upper - max(values)) <= near
        return
    low, high = [None if b is None else comparable(kind, bound(kind, b)) for b in (lower, upper)]
    assert low is None or low <= min(values), (kind, low, min(values))
    assert high is None or high >= max(values), (kind, high, max(values))
    if kind in ("string", "binary"):
        assert low is None or len(low) <= 16 and min(values)[:len(low)] == low
        assert high is None or len(high) <= 16
    else:
        assert low == min(values) and high == max(values), (kind, low, min(values), high, max(values))
    if kind in ("float", "double") and 0.0 in (low, high):
        assert struct.pack("<d", low)[7:] != b"\0" or low != 0, "zero's lower bound is -0.0"
        assert struct.pack("<d", high)[7:] == b"\0" or high != 0, "zero's upper bound is +0.0"


def check_data_file(entry, schema, parquet):
    f = entry["data_file"]
    assert f["file_format"].upper() == "PARQUET" and f["partition"] == {}
    assert os.path.getsize(path_of(f["file_path"])) == f["file_size_in_bytes"]
    assert parquet["count"] == f["record_count"] == len(parquet["rows"])
    assert f["equality_ids"] is None and f["key_metadata"] is None
    metrics = {member: pairs(f, member) for member in COUNTS}
    known = leaves(schema)
    for member in COUNTS:
        assert set(metrics[member]) <= set(known), member
    for number, (path, kind, required, repeated) in known.items():
        if repeated:
            assert number not in metrics["lower_bounds"] and number not in metrics["upper_bounds"]
            continue
        values = column(parquet["rows"], parquet["columns"], path)
        nulls = values.count(None)
        assert not (required and nulls), path
        if len(path) == 1:
            assert metrics["value_counts"].get(number, len(values)) == len(values)
            assert metrics["null_value_counts"].get(number, nulls) == nulls, path
        nans = sum(map(is_nan, values))
        assert metrics["nan_value_counts"].get(number, nans) == nans, path
        if kind == "binary" or kind == "string":
            values = [v.encode() if kind == "binary" and isinstance(v, str) else v for v in values]
        if number in metrics["lower_bounds"] or number in metrics["upper_bounds"] or not values:
            check_bounds(kind, values, metrics["lower_bounds"].get(number), metrics["upper_bounds"].get(number))
    return metrics


def check_field_ids(schema, parquet):
    """Every column of the Parquet file bears the id of the schema, and the footer has the schema."""
    want = {}

    def walk(kind, path):
        if isinstance(kind, str):
            return
        if kind["type"] == "struct":
            for f in kind["fields"]:
                want[".".join(path + [f["name"]])] = f["id"]
                walk(f["type"], path + [f["name"]])
        elif kind["type"] == "list":
            want[".".join(path + ["list", "element"])] = kind["element-id"]
            walk(kind["element"], path + ["list", "element"])
        else:
            for part in ("key", "value"):
                want[".".join(path + ["key_value", part])] = kind[part + "-id"]
                walk(kind[part], path + ["key_value", part])

    walk(schema, [])
    have = {path: number for path, number in parquet["ids"].items() if number is not None}
    assert have == want


def check_table(uri, reader):
    """Everything that the format asks of a table, for all its snapshots. Returns the metadata."""
    m = check_metadata(uri)
    seen = {}
    for snapshot in m.get("snapshots", []):
        data, deletes = read_snapshot(m, snapshot)
        check_totals(snapshot, data, deletes)
        paths = {e["data_file"]["file_path"]: e for e in data}
        for e in data:
            path = e["data_file"]["file_path"]
            assert path.startswith(m["location"] + "/data/")
            if path not in seen:
                seen[path] = parquet = reader.parquet(path)
                written = json.loads(parquet["pairs"]["iceberg.schema"])
                assert bare(written) in [bare(s) for s in m["schemas"]], "the footer's schema is none of the table's"
                check_field_ids(written, parquet)
                check_data_file(e, written, parquet)
        for e in deletes:
            check_delete_file(e, paths, seen, reader)
    return m


def check_delete_file(entry, paths, seen, reader):
    f = entry["data_file"]
    assert f["sort_order_id"] is None and f["partition"] == {}
    assert os.path.getsize(path_of(f["file_path"])) == f["file_size_in_bytes"]
    key = f["file_path"]
    parquet = seen[key] = seen.get(key) or reader.parquet(key)
    assert parquet["columns"] == ["file_path", "pos"] and parquet["count"] == f["record_count"]
    assert parquet["ids"] == {"file_path": FILE_PATH, "pos": POS}
    rows = [(path, pos) for path, pos in parquet["rows"]]
    assert rows == sorted(set(rows)), "not sorted, or a row twice"
    for path, pos in rows:
        assert path in paths, "it speaks of a file that is not live"
        assert 0 <= pos < paths[path]["data_file"]["record_count"]
        assert paths[path]["sequence_number"] <= entry["sequence_number"]
    if f["referenced_data_file"] is not None:
        assert {path for path, _ in rows} == {f["referenced_data_file"]}
    lower, upper = pairs(f, "lower_bounds"), pairs(f, "upper_bounds")
    assert lower[FILE_PATH].decode() == rows[0][0] and upper[FILE_PATH].decode() == rows[-1][0]
    if POS in lower:
        assert bound("long", lower[POS]) == min(p for _, p in rows)
        assert bound("long", upper[POS]) == max(p for _, p in rows)

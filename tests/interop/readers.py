"""Other readers of Iceberg tables. Each opens a table by its metadata file and gives rows as Arrow tables.

What a reader is known to do otherwise stands in it: types it refuses, values that it gives in another way
(gives(kind, values): of a column as it should be, what this reader makes of it).
"""

import json
import os
import re
import shutil
import tempfile
import uuid

import pyarrow as pa


class PyIceberg:
    name = "pyiceberg"
    refused_types = {}

    def open(self, metadata):
        from pyiceberg.table import StaticTable
        return PyIcebergTable(StaticTable.from_metadata(metadata))

    @staticmethod
    def gives(kind, values):
        """PyIceberg 0.12 copies a map whose values are structs without its NULLs: they come as empty maps."""
        if pa.types.is_map(kind) and pa.types.is_struct(kind.item_type):
            return [[] if v is None else v for v in values]
        return values

    def close(self):
        pass


class PyIcebergTable:
    def __init__(self, table):
        self.table = table

    def fields(self, snapshot=None):
        """The fields of the schema, as in the table's metadata: PyIceberg knows ids and all. It writes "decimal(9, 2)"."""
        schema = self.table.schema()
        if snapshot is not None:
            schema = self.table.schemas()[self.table.snapshot_by_id(snapshot).schema_id]
        return json.loads(re.sub(r'("decimal\(\d+), ', r"\1,", schema.model_dump_json()))["fields"]

    def rows(self, snapshot=None):
        return self.table.scan(snapshot_id=snapshot).to_arrow()

    def count(self):
        return self.table.scan().count()

    def snapshots(self):
        return [s.snapshot_id for s in self.table.snapshots()]

    def keys_where(self, column, operator, value):
        from pyiceberg import expressions as e
        if operator in ("is null", "is not null"):
            row_filter = {"is null": e.IsNull, "is not null": e.NotNull}[operator](column)
        else:
            kinds = {"=": e.EqualTo, "<": e.LessThan, ">=": e.GreaterThanOrEqual}
            row_filter = kinds[operator](column, value)
        return self.table.scan(row_filter, selected_fields=("k",)).to_arrow()["k"].to_pylist()


class Spark:
    """One session in a JVM of its own. A table is read from a folder as Spark wants it, with a copy of the metadata."""

    name = "spark"
    # Iceberg's types that Iceberg for Spark cannot show, and how it says so.
    refused_types = {"time": "Spark does not support time fields"}

    def __init__(self):
        from pyspark.sql import SparkSession
        self.folder = tempfile.mkdtemp(prefix="tarn-interop-")
        settings = {"spark.jars": os.environ["TARN_INTEROP_JAR"], "spark.ui.enabled": "false",
                    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
                    "spark.driver.memory": "1g", "spark.sql.session.timeZone": "UTC",
                    "spark.sql.shuffle.partitions": "2", "spark.ui.showConsoleProgress": "false",
                    "spark.sql.warehouse.dir": self.folder, "spark.local.dir": self.folder}
        builder = SparkSession.builder.master("local[2]").appName("tarn-interop")
        for key, value in settings.items():
            builder = builder.config(key, value)
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")

    def open(self, metadata):
        assert metadata.startswith("file:///"), metadata
        home = os.path.join(self.folder, uuid.uuid4().hex)
        os.makedirs(home + "/metadata")
        shutil.copyfile(metadata[len("file://"):], home + "/metadata/v1.metadata.json")
        with open(home + "/metadata/version-hint.text", "w", encoding="ascii") as f:
            f.write("1")
        return SparkTable(self.session, home)

    @staticmethod
    def gives(_kind, values):
        return values

    def close(self):
        self.session.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class SparkTable:
    def __init__(self, session, home):
        self.session, self.home = session, home

    def _frame(self, snapshot=None):
        reader = self.session.read.format("iceberg")
        if snapshot is not None:
            reader = reader.option("versionAsOf", str(snapshot))
        return reader.load(self.home)

    def fields(self, snapshot=None):
        """Names and types, in Spark's words."""
        return [(f.name, f.dataType.simpleString()) for f in self._frame(snapshot).schema.fields]

    def rows(self, snapshot=None):
        return self._frame(snapshot).toArrow()

    def count(self):
        return self._frame().count()

    def extremes(self, columns):
        """name to (count, least, greatest), which Iceberg takes from the manifests where they know them."""
        from pyspark.sql import functions as f
        asked = [of(c) for c in columns for of in (f.count, f.min, f.max)]
        values = list(self._frame().agg(*asked).collect()[0])
        return {c: tuple(values[i * 3:i * 3 + 3]) for i, c in enumerate(columns)}

    def snapshots(self):
        frame = self.session.read.format("iceberg").load(self.home + "#snapshots")
        return [row["snapshot_id"] for row in frame.sort("committed_at").collect()]

    def keys_where(self, column, operator, value):
        from pyspark.sql import functions as f
        c = f.col(column)
        condition = {"is null": c.isNull, "is not null": c.isNotNull, "=": lambda: c == f.lit(value),
                     "<": lambda: c < f.lit(value), ">=": lambda: c >= f.lit(value)}[operator]()
        return self.keys_that(condition)

    def keys_that(self, condition):
        """Of the rows that have a condition of Spark's, or one in its SQL."""
        return [row["k"] for row in self._frame().where(condition).select("k").collect()]


READERS = {"pyiceberg": PyIceberg, "spark": Spark}


# Types, each side in its words

def in_spark(kind):
    """What Spark says of one of Iceberg's types."""
    if isinstance(kind, str):
        words = {"long": "bigint", "timestamp": "timestamp_ntz", "timestamptz": "timestamp", "uuid": "string"}
        return words.get(kind, kind)
    if kind["type"] == "list":
        return f"array<{in_spark(kind['element'])}>"
    if kind["type"] == "map":
        return f"map<{in_spark(kind['key'])},{in_spark(kind['value'])}>"
    return f"struct<{','.join(f['name'] + ':' + in_spark(f['type']) for f in kind['fields'])}>"


def shape(kind, reader):
    """An Arrow type without what is only its spelling: names of elements, width of offsets."""
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.uuid":
        return "string" if reader == "spark" else "uuid"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{shape(kind.value_type, reader)}>"
    if pa.types.is_map(kind):
        return f"map<{shape(kind.key_type, reader)}, {shape(kind.item_type, reader)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{f.name}: {shape(f.type, reader)}' for f in kind)}>"
    return {"large_string": "string", "large_binary": "binary"}.get(str(kind), str(kind))

"""The peers, one class each, in a process of their own: python systems.py NAME.

Requests come as lines of JSON, {"call": METHOD, "arguments": {...}}; an answer is {"wall_us",
"cpu_us", "value"} or {"error"}. What is no part of what is measured (imports, opening, preparing) is
a call of its own. Each has all processors and its defaults, unless a comment says otherwise. CPU time
is that of the process: it runs the whole peer.
"""

import json
import os
import pathlib
import resource
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow
import pyarrow.ipc


def read_arrow(path):
    with pyarrow.OSFile(path) as file:
        return pyarrow.ipc.open_stream(file).read_all()


def listed(files):
    return "[" + ", ".join(f"'{f}'" for f in files) + "]"


class System:
    """What all have: a query gives an Arrow table; lookups are queries with a value put in."""

    def sql(self, text):
        raise NotImplementedError

    def query(self, text, save=None):
        """The rows as one Arrow table; saved for a comparison if asked to."""
        table = self.sql(text)
        if save:
            with pyarrow.OSFile(save, "wb") as file, \
                    pyarrow.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
        return table.num_rows

    def count(self, text):
        """The number of rows; for single rows some systems have a shorter way than by Arrow."""
        return self.sql(text).num_rows

    def lookups(self, text, values):
        """The wall time of each lookup, in microseconds."""
        took = []
        for value in values:
            start = time.perf_counter()
            rows = self.count(text.replace("?", value))
            took.append((time.perf_counter() - start) * 1e6)
            if rows != 1:
                raise ValueError(f"{rows} rows for {value}")
        return took


class DuckDB(System):
    """DuckDB in the process; it may write Parquet in any order, which is its fastest way."""

    def __init__(self):
        import duckdb
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        self.connection.execute("SET preserve_insertion_order = false")

    def open(self, files):
        for name, paths in files.items():
            self.connection.execute(
                f"CREATE OR REPLACE VIEW {name} AS FROM read_parquet({listed(paths)})")

    def sql(self, text):
        return self.connection.sql(text).to_arrow_table()

    def count(self, text):
        return len(self.connection.execute(text).fetchall())

    def ingest(self, source, kind, out):
        self.connection.execute(f"COPY (FROM read_{kind}('{source}')) TO '{out}.parquet' "
                                "(FORMAT parquet, COMPRESSION zstd)")


class DataFusion(System):
    def __init__(self):
        import datafusion
        self.context = datafusion.SessionContext()

    def open(self, files):
        for name, paths in files.items():
            self.context.register_parquet(name, os.path.dirname(paths[0]))

    def sql(self, text):
        return self.context.sql(text).to_arrow_table()

    def ingest(self, source, kind, out):
        read = self.context.read_csv if kind == "csv" else self.context.read_parquet
        read(source).write_parquet(out, compression="zstd", compression_level=3)


class Polars(System):
    """Its SQL over lazily scanned files, collected by the streaming engine, the faster one."""

    def __init__(self):
        import polars
        self.module = polars
        self.context = polars.SQLContext()

    def open(self, files):
        for name, paths in files.items():
            self.context.register(name, self.module.scan_parquet(paths))

    def sql(self, text):
        return self.context.execute(text).collect(engine="streaming").to_arrow()

    def ingest(self, source, kind, out):
        frame = (self.module.scan_csv(source, try_parse_dates=True) if kind == "csv"
                 else self.module.scan_parquet(source))
        frame.sink_parquet(out + ".parquet", compression="zstd", compression_level=3)


class ClickHouse(System):
    """ClickHouse in the process (chdb)."""

    def __init__(self):
        from chdb import session
        self.session = session.Session()

    def open(self, files):
        for name, paths in files.items():
            glob = "{" + ",".join(paths) + "}" if len(paths) > 1 else paths[0]
            self.session.query(
                f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM file('{glob}', Parquet)")

    def sql(self, text):
        answer = self.session.query(text, "ArrowStream")
        return pyarrow.ipc.open_stream(answer.bytes()).read_all()

    def ingest(self, source, kind, out):
        form = "CSVWithNames" if kind == "csv" else "Parquet"
        self.session.query(
            f"INSERT INTO FUNCTION file('{out}.parquet', Parquet) "
            f"SELECT * FROM file('{source}', {form}) SETTINGS output_format_parquet_compression_method = 'zstd'")


class Changes:
    """Small commits by one or by several clients; a subclass appends rows as its system does."""

    def append(self, number):
        raise NotImplementedError

    def appends(self, first, count):
        for i in range(count):
            self.append(first + i)

    def client(self):
        """Another client of the same table."""
        raise NotImplementedError

    def appends_by_clients(self, first, count, clients):
        made = [self.client() for _ in range(clients)]
        starts = range(first, first + clients * count, count)
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda client, at: client.appends(at, count), made, starts))


def small_rows(number, rows=10):
    """What one small commit appends: the same in all systems."""
    first = 10**9 + number * rows
    return [(first + i, i, "north", 1.5, f"note {number}") for i in range(rows)]


SMALL_COLUMNS = ("id", "customer", "region", "amount", "note")


class Iceberg(Changes):
    """PyIceberg with a catalog in SQLite; Arrow reads what comes in."""

    def __init__(self):
        import pyiceberg.catalog.sql
        import pyiceberg.exceptions
        self.conflict = pyiceberg.exceptions.CommitFailedException
        self.module = pyiceberg.catalog.sql
        self.schema = pyarrow.schema([
            ("id", pyarrow.int64()), ("customer", pyarrow.int64()), ("region", pyarrow.string()),
            ("amount", pyarrow.float64()), ("note", pyarrow.string())])
        self.folder = None
        self.table = None

    def open_catalog(self, folder):
        self.folder = folder
        pathlib.Path(folder).mkdir(exist_ok=True)
        self.catalog = self.module.SqlCatalog(
            "bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
        self.catalog.create_namespace_if_not_exists("bench")

    def ingest(self, source, kind, out):
        import pyarrow.csv
        import pyarrow.parquet
        self.open_catalog(out)
        table = (pyarrow.csv.read_csv(source) if kind == "csv"
                 else pyarrow.parquet.read_table(source))
        self.catalog.create_table("bench.t", table.schema).append(table)

    def load(self, path, folder, name):
        """A table of the rows of an Arrow file."""
        self.open_catalog(folder)
        rows = read_arrow(path)
        self.table = self.catalog.create_table("bench." + name, rows.schema)
        self.table.append(rows)

    def append(self, number):
        rows = pyarrow.Table.from_pylist(
            [dict(zip(SMALL_COLUMNS, row)) for row in small_rows(number)], schema=self.schema)
        for _ in range(1000):
            try:
                self.table.append(rows)
                return
            except self.conflict:
                self.table.refresh()
        raise TimeoutError("1,000 conflicts")

    def client(self):
        other = Iceberg()
        other.open_catalog(self.folder)
        other.table = other.catalog.load_table(self.table.name())
        return other

    def upsert(self, path):
        self.table.upsert(read_arrow(path), join_cols=["id"])

    def delete(self, path):
        from pyiceberg.expressions import In
        self.table.delete(In("id", read_arrow(path)["id"].to_pylist()))

    def totals(self):
        self.table.refresh()  # other clients have committed, too
        rows = self.table.scan().to_arrow()
        return [rows.num_rows, round(pyarrow.compute.sum(rows["amount"]).as_py())]


class DuckLake(Changes):
    """DuckLake with a DuckDB file as its catalog."""

    def __init__(self):
        self.connection = connect_with("ducklake")

    def attach(self, folder):
        pathlib.Path(folder).mkdir(exist_ok=True)
        self.connection.execute(f"ATTACH 'ducklake:{folder}/catalog.ducklake' AS lake "
                                f"(DATA_PATH '{folder}/data')")
        self.connection.execute("USE lake")

    def ingest(self, source, kind, out):
        self.attach(out)
        self.connection.execute(f"CREATE TABLE t AS FROM read_{kind}('{source}')")

    def load(self, path, folder, name):
        self.attach(folder)
        self.name = name
        rows = read_arrow(path)
        self.connection.execute(f"CREATE TABLE {name} AS FROM rows")
        del rows

    def append(self, number):
        rows = small_rows(number)
        self.connection.execute(
            f"INSERT INTO {self.name} VALUES " + ", ".join(["(?, ?, ?, ?, ?)"] * len(rows)),
            [value for row in rows for value in row])

    def client(self):
        other = DuckLake.__new__(DuckLake)
        other.connection = self.connection.cursor()
        other.connection.execute("USE lake")
        other.connection.execute("SET ducklake_max_retry_count = 1000")
        other.name = self.name
        return other

    def upsert(self, path):
        rows = read_arrow(path)
        self.connection.execute(
            f"MERGE INTO {self.name} AS t USING rows AS s ON t.id = s.id "
            "WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT")
        del rows

    def delete(self, path):
        rows = read_arrow(path)
        self.connection.execute(f"DELETE FROM {self.name} WHERE id IN (SELECT id FROM rows)")
        del rows

    def totals(self):
        rows, amount = self.connection.execute(
            f"SELECT count(*), sum(amount) FROM {self.name}").fetchone()
        return [rows, round(amount)]


class Quack(System):
    """DuckDB as a server over HTTP, asked by another instance of DuckDB: its own protocol."""

    def __init__(self):
        self.server = connect_with("httpfs", "quack")
        self.client = connect_with("httpfs", "quack")
        token = "a token of the bench"
        port = free_port()
        self.server.execute(f"CALL quack_serve('quack:localhost:{port}', token := '{token}')")
        self.ask = f"FROM quack_query('quack:localhost:{port}', ?, token := '{token}')"

    def open(self, files):
        for name, paths in files.items():
            self.server.execute(
                f"CREATE OR REPLACE VIEW {name} AS FROM read_parquet({listed(paths)})")

    def sql(self, text):
        return self.client.sql(self.ask, params=[text]).to_arrow_table()

    def count(self, text):
        return len(self.client.execute(self.ask, [text]).fetchall())


def free_port():
    import socket
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def connect_with(*extensions):
    """DuckDB with extensions that lie in Python packages; it checks their signatures."""
    import duckdb
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    packages = pathlib.Path(sysconfig.get_path("purelib"))
    for name in extensions:
        [file] = packages.glob(f"duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")
        connection.execute(f"LOAD '{file}'")
    return connection


SYSTEMS = {
    "DuckDB": DuckDB,
    "DataFusion": DataFusion,
    "Polars": Polars,
    "ClickHouse": ClickHouse,
    "PyIceberg": Iceberg,
    "DuckLake": DuckLake,
    "Quack": Quack,
}


def cpu_us():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


def main():
    # Some libraries write to the standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    system = SYSTEMS[sys.argv[1]]()
    print(json.dumps({"value": "ready"}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            cpu, start = cpu_us(), time.perf_counter()
            value = getattr(system, request["call"])(**request["arguments"])
            answer = {"wall_us": (time.perf_counter() - start) * 1e6, "cpu_us": cpu_us() - cpu,
                      "value": value}
        except Exception as failure:
            answer = {"error": f"{type(failure).__name__}: {failure}"[:2000]}
        print(json.dumps(answer), file=answers, flush=True)
    # Some keep threads that would hold up the end.
    os._exit(0)


if __name__ == "__main__":
    main()

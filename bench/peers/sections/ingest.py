"""Files become a table: for Tarn an Iceberg table, typed over the whole file, hashed, on disk."""

import pathlib
import shutil

from peers_house import Measure, clocked, say, turns

ORDER = 10
PEERS = "DuckDB", "DataFusion", "Polars", "ClickHouse", "PyIceberg"


def measure(house):
    server = house.serve("tarn")
    systems = {"Tarn": server, **house.peers(*PEERS)}
    for kind in "csv", "parquet":
        source = house.made["events", kind]
        say(f"  {kind}, {house.rounds} rounds")

        def ingest(name, system, i):
            out = house.folder / f"{kind}{i}"
            if name == "Tarn":
                took = clocked(server, lambda: server.upload(f"{kind}{i}", source))
                server.request("DELETE", f"/catalog/datasets/by-name/{kind}{i}")
                return took
            took = system.call("ingest", source=source, kind=kind, out=str(out))
            for written in house.folder.glob(f"{kind}{i}*"):
                shutil.rmtree(written) if written.is_dir() else written.unlink()
            return took

        size = pathlib.Path(source).stat().st_size
        yield Measure(f"ingest {kind.upper() if kind == 'csv' else 'Parquet'}, "
                      f"{house.rows / 1e6:g} M rows x 10 columns, {size / 1e6:.0f} MB",
                      *turns(systems, house.rounds, ingest))

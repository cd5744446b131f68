"""Resident memory of a server that has started and answered one query."""

import time

from bench_house import Figure

ORDER = 50


def measure(house):
    server = house.serve("idle")
    server.request("POST", "/ingest/file?dataset=t&format=csv", b"a\n1\n")
    server.sql("SELECT * FROM t")
    time.sleep(1)
    yield Figure("idle memory", "nothing", "", at_most=80, value=server.memory_mb("VmRSS"),
                 unit="MB", note=f"resident, {server.memory_mb('RssAnon'):.0f} MB of it not shared "
                 "with files")

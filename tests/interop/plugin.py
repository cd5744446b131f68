"""The world of these tests, and the summary at their end: a line a table, a column a reader."""

import os

import pytest

from conftest import Server
from engine import Engine
from readers import READERS
from tables import BUILDERS, DATASET, ok

NAMES = os.environ["TARN_INTEROP_READERS"].split()
LINES = {}


class World:
    """One server, whose tables are written when they are first asked for, and readers, which start as late."""

    def __init__(self, folder):
        self.folder = folder
        self.server = Server(folder / "data", "--ingest-target-file", "1M")
        self.engine = Engine()
        self.tables, self.readers = {}, {}

    def parquet(self, select):
        return self.engine.parquet(select, self.folder / "upload.parquet")

    def table(self, name):
        """What the catalog says of it."""
        if name not in self.tables:
            self.tables[name] = None
            BUILDERS[name](self.server, self.parquet)
            self.tables[name] = ok(self.server.get(DATASET + name))
        assert self.tables[name], f"{name} could not be written"
        return self.tables[name]

    def reader(self, name):
        if name not in self.readers:
            self.readers[name] = READERS[name]()
        return self.readers[name]

    def close(self):
        for reader in self.readers.values():
            reader.close()
        self.engine.close()
        self.server.stop()


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    one = World(tmp_path_factory.mktemp("interop"))
    yield one
    one.close()


@pytest.fixture
def tell(request):
    """tell(text) puts a word of this test's table and reader into the summary."""
    def add(text):
        LINES.setdefault(request.node.callspec.params["table"], {}).setdefault(
            request.node.callspec.params["reader"], []).append(text)
    return add


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    params = getattr(getattr(item, "callspec", None), "params", {})
    if report.failed and "table" in params:
        LINES.setdefault(params["table"], {}).setdefault(params["reader"], []).append("DIFFERS")


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("what other readers read")
    words = {table: [", ".join(of.get(r, ["-"])) for r in NAMES] for table, of in LINES.items()}
    for table, row in [("table", NAMES), *words.items()]:
        terminalreporter.write_line(f"{table:14}" + "".join(f"{text:44}" for text in row).rstrip())

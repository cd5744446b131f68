"""The SQL engine itself, without the server: it makes Parquet files for the tests."""

import ctypes
import os
import re
import subprocess

import pytest


def library():
    """The libduckdb that the program under test is linked with."""
    out = subprocess.run(["ldd", os.environ["TARN_BIN"]], capture_output=True, text=True, check=True, timeout=60).stdout
    found = re.search(r"libduckdb\S* => (\S+)", out)
    if not found:
        pytest.skip("the program has no libduckdb of its own to make Parquet files with")
    return found[1]


class Engine:
    """An instance in memory. run() executes statements whose rows nobody wants."""

    def __init__(self):
        self.c = ctypes.CDLL(library())
        self.c.duckdb_result_error.restype = ctypes.c_char_p
        self.db, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        assert self.c.duckdb_open(None, ctypes.byref(self.db)) == 0
        assert self.c.duckdb_connect(self.db, ctypes.byref(self.connection)) == 0
        self.run("SET TimeZone = 'UTC'")

    def run(self, sql):
        result = ctypes.create_string_buffer(256)
        failed = self.c.duckdb_query(self.connection, sql.encode(), result)
        message = self.c.duckdb_result_error(result) if failed else None
        self.c.duckdb_destroy_result(result)
        assert not failed, message.decode()

    def parquet(self, select, path, options=""):
        """The file that a SELECT makes."""
        self.run(f"COPY ({select}) TO '{path}' (FORMAT parquet{options})")
        with open(path, "rb") as f:
            return f.read()

    def close(self):
        self.c.duckdb_disconnect(ctypes.byref(self.connection))
        self.c.duckdb_close(ctypes.byref(self.db))

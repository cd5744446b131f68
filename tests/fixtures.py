"""Files to send: Parquet of any type, made by the engine's library itself, and packed bytes."""

import ctypes
import functools
import gzip
import os
import re
import subprocess
import tempfile

import pytest


@functools.lru_cache(maxsize=None)
def _engine():
    """The library that the tested program is linked with."""
    found = subprocess.run(["ldd", os.environ["TARN_BIN"]], capture_output=True, text=True, timeout=30).stdout
    path = re.search(r"libduckdb\S* => (\S+)", found)
    if not path:
        pytest.skip("the program has no libduckdb of its own to make Parquet files with")
    library = ctypes.CDLL(path[1])
    library.duckdb_result_error.restype = ctypes.c_char_p
    database, connection = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.duckdb_open(None, ctypes.byref(database)) == 0
    assert library.duckdb_connect(database, ctypes.byref(connection)) == 0
    return library, connection


def parquet(sql, options=""):
    """The bytes of a Parquet file with the rows of a statement."""
    library, connection = _engine()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "made.parquet")
        statement = f"COPY ({sql}) TO '{path}' (FORMAT parquet{options})"
        result = (ctypes.c_char * 256)()
        code = library.duckdb_query(connection, statement.encode(), ctypes.byref(result))
        error = library.duckdb_result_error(ctypes.byref(result))
        library.duckdb_destroy_result(ctypes.byref(result))
        assert code == 0, error
        with open(path, "rb") as f:
            return f.read()


def zstd(data):
    """The data as one zstd frame."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    library.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    room = ctypes.create_string_buffer(library.ZSTD_compressBound(len(data)))
    size = library.ZSTD_compress(room, len(room), data, len(data), 3)
    return room.raw[:size]


PACKERS = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd}

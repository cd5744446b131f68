"""Files to send: Parquet of any type, made by the engine's library itself, and packed bytes."""

import ctypes
import functools
import gzip
import os
import tempfile

from engine import Engine


@functools.lru_cache(maxsize=None)
def _engine():
    return Engine()


def parquet(sql, options=""):
    """The bytes of a Parquet file with the rows of a statement."""
    with tempfile.TemporaryDirectory() as folder:
        return _engine().parquet(sql, os.path.join(folder, "made.parquet"), options)


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

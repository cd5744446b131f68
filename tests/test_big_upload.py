"""A file that is larger than the server's memory may be: it goes through, and the server stays small."""

import os

import pytest

MIB = 1 << 20
MEMORY_MAX = 400 * MIB

pytestmark = pytest.mark.skipif(bool(os.environ.get("TARN_SANITIZE")), reason="a sanitizer's memory is its own")


def lines(rows, make):
    return "".join(make(i) + "\n" for i in range(rows)).encode()


def sent(header, block, times):
    """The body of a request, made while it is sent."""
    yield header
    for _ in range(times):
        yield block


def person(i):
    key = i * 2654435761 % (1 << 64)
    return (f"{i},{key},{key % 1000003 / 7:.2f},name {key:020},city {key % 997},2026-{i % 12 + 1:02}-{i % 28 + 1:02},"
            f"2026-03-04 05:06:{i % 60:02},{'true' if i % 3 else 'false'},,note {key:040} of {i}")


@pytest.fixture
def two_threads(serve):
    """Each thread of the engine holds a row group and a buffer, so the bound is one for a number of them."""
    return serve("--engine-threads", 2)


def test_a_gigabyte_is_taken_in_with_less_than_400_mib_of_memory(two_threads):
    t, rows = two_threads, 60_000
    block = lines(rows, person)
    times = (1 << 30) // len(block) + 1
    header = b"id,key,amount,name,city,day,moment,flag,nothing,note\n"
    done = t.ingest("big", sent(header, block, times))
    assert done["rows"] == rows * times
    assert t.rss()[1] < MEMORY_MAX, f"{t.rss()[1] // MIB} MiB"
    assert t.sql("SELECT count(*), count(DISTINCT key), max(id), count(nothing) FROM big", format="arrays") == [
        [rows * times, rows, rows - 1, 0]]
    types = {f["name"]: f["type"] for f in done["schema"]}
    assert types["key"] == "long" and types["day"] == "date" and types["moment"] == "timestamp"


def test_many_columns_take_no_more_memory_than_few(two_threads):
    t, columns, rows = two_threads, 100, 20_000
    block = lines(rows, lambda i: ",".join(str((i * 7919 + k) * 2654435761 % 1000003) for k in range(columns)))
    header = (",".join(f"c{k}" for k in range(columns)) + "\n").encode()
    times = (200 << 20) // len(block) + 1
    done = t.ingest("wide", sent(header, block, times))
    assert done["rows"] == rows * times and len(done["schema"]) == columns
    assert t.rss()[1] < MEMORY_MAX, f"{t.rss()[1] // MIB} MiB"


def test_a_packed_file_of_another_type_at_its_end_stays_in_bounds(two_threads):
    """The slow way: it is unpacked, read as numbers, looked at as a whole, and read again as text."""
    import gzip
    t, rows, times = two_threads, 60_000, 20
    block = gzip.compress(lines(rows, person), 1)
    header = gzip.compress(b"id,key,amount,name,city,day,moment,flag,nothing,note\n")

    def body():
        yield from sent(header, block, times)
        yield gzip.compress(b"x,2,3,a,b,soon,c,true,,last\n")

    done = t.ingest("late", body())
    assert done["rows"] == rows * times + 1
    assert {f["name"]: f["type"] for f in done["schema"]}["id"] == "string"
    assert t.rss()[1] < MEMORY_MAX, f"{t.rss()[1] // MIB} MiB"

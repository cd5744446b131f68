"""Canaries are found however they are written, and the corpora of statements are what they are said to be."""

import base64
import random
import re

import pytest

from canary import Canaries, fill, number, read_corpus, word

def test_a_canary_is_found_however_it_is_written():
    rng = random.Random(1)
    secret, amount = word(rng), number(rng)
    canaries = Canaries([secret, amount, "2013-04-17 03:12:55.483927"])
    for said in (secret, secret.upper(), secret[::-1], secret[3:14], f"x{secret}y", f'{{"a":"{secret}"}}', secret.encode(),
                 f"Could not convert string '{secret}' to INT128", f"X-Header: {secret}", secret.encode().hex(),
                 base64.b64encode(secret.encode()).decode(), base64.b64encode(b"ab" + secret.encode()).decode(),
                 f"{amount}", f"{amount}.0", f"{amount:,}", f"-{amount}", f"[1, {amount}, 2]", f"9{amount}9",
                 "2013-04-17T03:12:55.483927Z", "2013-04-17 03:12:55.483927"):
        assert canaries.found(said), said
        assert not canaries.found(said, own=f"{secret} {amount} and 2013-04-17 03:12:55.483927"), said
        assert canaries.found(said, own="something else"), said


def test_nothing_is_found_where_there_is_no_canary():
    rng = random.Random(2)
    canaries = Canaries([word(rng) for _ in range(5000)] + [number(rng) for _ in range(5000)])
    for said in (word(rng), number(rng), "The quick brown fox", "0" * 50, "x" * 50, rng.getrandbits(4000), "",
                 rng.randbytes(4000).hex(), base64.b64encode(rng.randbytes(4000)), "2013-04-17 03:12:55.483927"):
        assert not canaries.found(said if isinstance(said, bytes) else str(said)), said


def test_a_value_without_a_canary_is_no_canary():
    with pytest.raises(AssertionError):
        Canaries(["short"])


@pytest.mark.parametrize("folder,statements,families", [("hostile", 600, 10), ("exhaust", 60, 1), ("legit", 150, 5)])
def test_a_corpus_is_large_and_has_nothing_twice(folder, statements, families):
    corpus = read_corpus(folder)
    assert len(corpus) >= statements and len({s.family for s in corpus}) >= families
    assert len({re.sub(r"\s+", " ", s.text) for s in corpus}) == len(corpus)


def test_a_statement_is_filled_with_what_its_placeholders_stand_for():
    assert fill("SELECT {times:3:n, }{hid} FROM {view}, {VIEW}", {"view": "v", "hid": 7}) == b"SELECT n, n, n, 7 FROM v, V"
    assert fill("{u:00A0}{x:FF}{'a': 1}", {}) == b"\xc2\xa0\xff{'a': 1}"
    assert fill("{times:2:{hid} }", {"hid": 5}) == b"5 5 "
    with pytest.raises(AssertionError):
        fill("SELECT {true:email}", {})

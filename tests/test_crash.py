"""Kills, full disks and damaged files: what was acknowledged is there, what was not is wholly there or not at all.

TARN_SEED repeats the choices of a run (its times depend on the machine), TARN_CRASH_SECONDS makes it longer.
"""

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

import pytest
import requests

from conftest import Server, command, wait_until

SEED = int(os.environ.get("TARN_SEED") or time.time_ns() % 1_000_000)
SECONDS = float(os.environ.get("TARN_CRASH_SECONDS") or 15)
SLOW = 4 if os.environ.get("TARN_SANITIZE") else 1


def verify(data):
    done = command("journal", "verify", "--data", str(data))
    assert done.returncode == 0, done.stdout + done.stderr


def files_in(folder):
    return [os.path.join(f, name) for f, _, names in os.walk(folder) for name in names]


def assert_no_spool(data):
    """What a failed request had sent is gone, at the latest a moment after its answer."""
    wait_until(lambda: not files_in(data / "spool") and not files_in(data / "primary" / ".tmp"))


def assert_clean(data):
    """Nothing is left of what was under way: no spool files, no temporary objects, one engine's folder.

    The log tells of queries a little later, which is a temporary object for a moment.
    """
    assert_no_spool(data)
    assert len(list((data / "cache").glob("spill-*"))) == 1


# Killed at any moment

class Writer:
    """Writes to datasets of its own, one change after the other, and knows what each answer promised."""

    def __init__(self, number, chance):
        self.number, self.chance = number, chance
        self.state = {}       # dataset to its rows, sorted: what was acknowledged last
        self.pending = None   # the state if the change under way has happened
        self.next = number * 1_000_000
        self.acknowledged = 0
        self.refusals = []

    def rows(self, most):
        n = self.chance.choice([1, 3, most])
        self.next += n
        return list(range(self.next - n, self.next))

    def names(self):
        return [f"w{self.number}_{n}" for n in range(3)]

    def change(self):
        """A request, and the state after it."""
        name = self.chance.choice(self.names())
        after = dict(self.state)
        if name not in self.state:
            after[name] = self.rows(2000)
            return self.file(name, after[name], self.chance.choice(["create", "replace"])), after
        kind = self.chance.choice(["append", "append", "append", "replace", "drop", "rename", "upsert", "delete", "compact"])
        if kind == "append":
            new = self.rows(2000)
            after[name] = self.state[name] + new
            return self.file(name, new, "append"), after
        if kind == "replace":
            after[name] = self.rows(2000)
            return self.file(name, after[name], "replace"), after
        path = f"/catalog/datasets/by-name/{name}"
        if kind == "drop":
            del after[name]
            return ("DELETE", path, {}), after
        if kind == "rename":
            free = [n for n in self.names() if n not in self.state]
            if not free:
                return self.change()
            after[free[0]] = after.pop(name)
            return ("POST", path + "/rename", {"json": {"to": free[0]}}), after
        if kind == "compact":
            return ("POST", "/query/compact", {"json": {"dataset": name, "deletes_share": 0}}), after
        old = self.chance.sample(self.state[name], min(5, len(self.state[name])))
        new = self.rows(3) if kind == "upsert" else []
        after[name] = sorted(set(self.state[name]) - (set(old) if kind == "delete" else set())) + new
        body = {"dataset": name, "mode": kind, "key": "v", "rows": [{"v": v} for v in old + new]}
        return ("POST", "/ingest/delta", {"json": body}), after

    def file(self, name, rows, mode):
        return "POST", "/ingest/file", {"params": {"dataset": name, "mode": mode, "format": "csv", "header": "true"},
                                        "data": ("v\n" + "".join(f"{v}\n" for v in rows)).encode(),
                                        "headers": {"Content-Type": "text/csv"}}

    def run(self, server):
        """Until the server is gone."""
        session = requests.Session()
        session.trust_env = False
        bearer = {"Authorization": f"Bearer {server.token}"}
        while True:
            (method, path, more), after = self.change()
            more["headers"] = {**more.get("headers", {}), **bearer}
            self.pending = after
            try:
                answer = session.request(method, server.url + path, timeout=60, **more)
            except requests.RequestException:
                return
            if answer.status_code in (200, 201):
                self.state, self.acknowledged = after, self.acknowledged + 1
            elif answer.status_code != 503:
                self.refusals.append(f"{method} {path} {answer.status_code} {answer.text}")
                return
            self.pending = None

    def check(self, server):
        """What the server has is what was promised, with the change under way or without it."""
        listed = server.get("/catalog/datasets?limit=1000").json()["datasets"]
        mine = {d["name"]: d for d in listed if d["name"].startswith(f"w{self.number}_")}
        there = {name: [v for [v] in server.sql(f"SELECT v FROM {name} ORDER BY v", format="arrays", rows_max=1_000_000)]
                 for name in mine}
        assert not self.refusals, self.refusals
        if there != self.state:
            assert there == self.pending, (
                f"writer {self.number}: {shape(there)} is neither {shape(self.state)} nor {shape(self.pending)}")
        self.state, self.pending = there, None


def shape(state):
    return state and {name: (len(rows), sum(rows)) for name, rows in state.items()}


def round_of_writers(server, writers, delay):
    """Everybody writes until the server is killed."""
    threads = [threading.Thread(target=w.run, args=(server,)) for w in writers]
    for thread in threads:
        thread.start()
    time.sleep(delay)
    server.kill()
    for thread in threads:
        thread.join()


def test_what_was_acknowledged_survives_kills_at_any_moment(tmp_path):
    print(f"TARN_SEED={SEED}")
    chance = random.Random(SEED)
    data = tmp_path / "data"
    writers = [Writer(n, random.Random(SEED + n + 1)) for n in range(3)]
    flags = ("--catalog-checkpoint-every", "7")
    end = time.monotonic() + SECONDS
    rounds = 0
    while time.monotonic() < end or rounds < 3 or (rounds < 100 and sum(w.acknowledged for w in writers) <= rounds):
        rounds += 1
        if chance.random() < 0.3:  # a start that does not come far
            cut = Server(data, *flags, wait=False)
            time.sleep(chance.uniform(0, 0.2))
            cut.kill()
        server = Server(data, *flags)
        for writer in writers:
            writer.check(server)
        assert_clean(data)
        round_of_writers(server, writers, chance.uniform(0.05, 0.8) * SLOW)
        verify(data)
    server = Server(data, *flags)
    try:
        for writer in writers:
            writer.check(server)
        assert_clean(data)
        assert server.upload("after", "v\n1\n").status_code == 201
    finally:
        server.stop()
    verify(data)
    assert sum(w.acknowledged for w in writers) > rounds, "hardly anything was written"


def test_a_kill_at_the_first_start_locks_nobody_out(tmp_path):
    chance = random.Random(SEED)
    for n in range(8):
        data = tmp_path / f"data{n}"
        server = Server(data, wait=False)
        time.sleep(chance.uniform(0, 0.25) * SLOW)
        server.kill()
        server = Server(data)
        try:
            assert server.get("/catalog/datasets").status_code == 200
            assert len(server.get("/auth/tokens").json()["tokens"]) == 1
        finally:
            server.stop()


def test_an_upload_that_was_cut_leaves_nothing(tmp_path):
    data = tmp_path / "data"
    server = Server(data)
    server.ingest("t", "v\n1\n")

    def body():
        yield b"v\n"
        for n in range(100):
            yield b"".join(b"%d\n" % (n * 1000 + i) for i in range(1000))
            if n == 50:
                wait_until(lambda: files_in(data / "spool"))
                server.kill()

    with pytest.raises(requests.RequestException):
        server.post("/ingest/file", params={"dataset": "t", "mode": "append"}, data=body())
    assert files_in(data / "spool"), "the upload had come into the spool"
    server = Server(data)
    try:
        assert server.value("SELECT count(*) FROM t") == 1
        assert_clean(data)
    finally:
        server.stop()


# Full disks

@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of that size, where this user may mount one."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)],
                          capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=60)


def fill(path, leave):
    """Takes all the space but so many bytes. The server may be taking some meanwhile, or giving some back."""
    free = os.statvfs(path.parent)
    with open(path, "ab", buffering=0) as f, contextlib.suppress(OSError):
        left = free.f_bavail * free.f_frsize - leave
        while left > 0:
            left -= f.write(b"\0" * min(left, 1 << 20))


def lines(first, count):
    return "v,w\n" + "".join(f"{i},{i * 2654435761 % 4294967296:032b}\n" for i in range(first, first + count))


def assert_no_space(answer):
    assert answer.status_code == 507, answer.text
    problem = answer.json()
    assert problem["code"] == "no_space" and "space" in problem["detail"].lower(), problem


def test_a_full_disk_refuses_and_loses_nothing(tmp_path):
    with small_disk(tmp_path / "disk", "32m") as disk:
        data = disk / "data"
        server = Server(data, "--engine-memory", "200M")
        try:
            server.ingest("t", lines(0, 1000))
            fill(disk / "filler", 2 << 20)
            assert_no_space(server.upload("t", lines(1000, 100_000), mode="append"))
            assert_no_space(server.upload("u", lines(0, 100_000)))
            assert_no_spool(data)
            assert server.query("SELECT * FROM u").status_code == 404
            # The first thing after there is room again is written; nobody had to restart anything.
            (disk / "filler").unlink()
            server.ingest("t", lines(1000, 1000), mode="append")
            assert server.sql("SELECT count(*) AS n, sum(v) AS s FROM t") == [{"n": 2000, "s": 1999 * 1000}]
            for attempt in (lambda: server.upload("t", "v,w\n1,x\n", mode="append"), lambda: server.upload("u", "v\n1\n"),
                            lambda: server.post("/catalog/datasets/by-name/t/rename", json={"to": "x"}),
                            lambda: server.delete("/catalog/datasets/by-name/t"),
                            lambda: server.post("/auth/tokens", json={"principal": "ann", "roles": ["admin"]})):
                fill(disk / "filler", 0)
                assert_no_space(attempt())
            assert server.value("SELECT count(*) FROM t") == 2000
            doctor = command("doctor", "--data", str(data), "--listen", "127.0.0.1:0")
            assert doctor.returncode != 0 and "free space" in doctor.stdout
            server.kill()
            server = Server(data, "--engine-memory", "200M", wait=False)
            if server.process.poll() is None:
                (disk / "filler").unlink()
            server.kill()
            verify(data)
            server = Server(data, "--engine-memory", "200M")
            assert server.sql("SELECT count(*) AS n, sum(v) AS s FROM t") == [{"n": 2000, "s": 1999 * 1000}]
            assert_clean(data)
            server.ingest("t", lines(2000, 1000), mode="append")
            assert server.value("SELECT count(DISTINCT v) FROM t") == 3000
        finally:
            server.stop()
        verify(data)


def test_a_limit_on_the_size_of_files_refuses_and_loses_nothing(tmp_path):
    data = tmp_path / "data"
    server = Server(data)
    try:
        server.ingest("t", lines(0, 1000))
        unlimited = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        for most in (300_000, 10_000, 700, 0):
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, unlimited[1]))
            answer = server.upload("t", lines(1000, 20_000), mode="append")
            assert answer.status_code in (500, 507), answer.text
            assert answer.json()["code"] in ("io_error", "no_space") and "large" in answer.json()["detail"]
            assert_no_spool(data)
        answer = server.delete("/catalog/datasets/by-name/t")
        assert answer.status_code in (500, 507), answer.text
        assert server.value("SELECT sum(v) FROM t") == 999 * 500
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)
        server.ingest("t", lines(1000, 1000), mode="append")
        assert server.value("SELECT sum(v) FROM t") == 1999 * 1000
    finally:
        server.stop()
    verify(data)


# Folders that cannot be written

def test_a_disk_that_becomes_read_only(tmp_path):
    with small_disk(tmp_path / "disk", "32m") as disk:
        data = disk / "data"
        server = Server(data)
        server.ingest("t", "v\n1\n2\n")
        server.stop()

        def remount(how):
            # A moment later, if the kernel has not let go of everything yet.
            wait_until(lambda: subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], timeout=60).returncode == 0)

        remount("ro")
        failed = command("serve", "--data", str(data), "--listen", "127.0.0.1:0")
        assert failed.returncode not in (0, -6, -11) and "Read-only file system" in failed.stderr, failed
        doctor = command("doctor", "--data", str(data), "--listen", "127.0.0.1:0")
        assert doctor.returncode == 1 and "FAIL" in doctor.stdout and "Traceback" not in doctor.stderr
        remount("rw")
        server = Server(data)
        try:
            remount("ro")
            for answer in (server.upload("t", "v\n3\n", mode="append"),
                           server.delete("/catalog/datasets/by-name/t"),
                           server.post("/catalog/datasets/by-name/t/rename", json={"to": "x"})):
                assert answer.status_code == 500 and "Read-only file system" in answer.json()["detail"], answer.text
            assert server.value("SELECT sum(v) FROM t") == 3
            remount("rw")
            server.ingest("t", "v\n3\n", mode="append")
            assert server.value("SELECT sum(v) FROM t") == 6
        finally:
            remount("rw")
            server.stop()
        verify(data)


def test_a_folder_without_the_right_to_write(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    data = tmp_path / "data"
    Server(data).stop()
    os.chmod(data / "primary", 0o500)
    try:
        failed = command("serve", "--data", str(data), "--listen", "127.0.0.1:0")
        assert failed.returncode == 1 and str(data) in failed.stderr and "Permission denied" in failed.stderr
    finally:
        os.chmod(data / "primary", 0o700)
    Server(data).stop()


# Damage

@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A data folder whose server was killed before it made a checkpoint: all records are read at the next start."""
    data = tmp_path_factory.mktemp("sound") / "data"
    server = Server(data, "--catalog-checkpoint-every", "1000")
    for n in range(8):
        server.ingest(f"d{n}", f"v\n{n}\n")
    server.kill()
    assert not files_in(data / "primary/_catalog/checkpoint")
    return data


def record(n):
    return f"_catalog/log/{n:020d}.json"


def flip(path, at):
    bytes_ = bytearray(path.read_bytes())
    bytes_[int(at * (len(bytes_) - 1))] ^= 1
    path.write_bytes(bytes_)


def cut(path, share):
    with open(path, "r+b") as f:
        f.truncate(int(path.stat().st_size * share))


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: cut(path, 0),
    "torn": lambda path: cut(path, 0.5),
    "torn_by_a_byte": lambda path: cut(path, 0.999),
    "first_byte": lambda path: flip(path, 0),
    "altered": lambda path: flip(path, 0.5),
    "altered_near_the_end": lambda path: flip(path, 0.98),
    "another": lambda path: shutil.copy(path.parent / f"{2:020d}.json", path),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("number", [1, 5, 9])
def test_a_damaged_record_is_named(tmp_path, sound, damage, number):
    data = tmp_path / "data"
    shutil.copytree(sound, data)
    name = record(number)
    good = (data / "primary" / name).read_bytes()
    DAMAGES[damage](data / "primary" / name)
    if damage == "missing" and number == 9:
        # The newest one: nothing that is left speaks of it.
        verify(data)
        return
    done = command("journal", "verify", "--data", str(data))
    assert done.returncode == 1 and name in done.stdout + done.stderr, done
    named = re.findall(r"_catalog/\w+/\d{20}\.json", done.stdout + done.stderr)
    assert named[0] == name, done
    doctor = command("doctor", "--data", str(data), "--listen", "127.0.0.1:0")
    assert doctor.returncode == 1
    [line] = [text for text in doctor.stdout.splitlines() if "catalog log" in text]
    assert line.startswith("FAIL") and name in line
    started = command("serve", "--data", str(data), "--listen", "127.0.0.1:0")
    assert started.returncode > 0 and name in started.stderr, started
    (data / "primary" / name).write_bytes(good)
    verify(data)


def test_a_mended_log_is_served_again(tmp_path, sound):
    data = tmp_path / "data"
    shutil.copytree(sound, data)
    path = data / "primary" / record(4)
    good = path.read_bytes()
    cut(path, 0.3)
    assert command("serve", "--data", str(data), "--listen", "127.0.0.1:0").returncode > 0
    path.write_bytes(good)
    server = Server(data)
    try:
        assert [server.value(f"SELECT v FROM d{n}") for n in range(8)] == list(range(8))
    finally:
        server.stop()


def test_a_damaged_checkpoint_is_named_and_costs_nothing(tmp_path, sound):
    data = tmp_path / "data"
    shutil.copytree(sound, data)
    Server(data).stop()
    [checkpoint] = files_in(data / "primary/_catalog/checkpoint")
    with open(checkpoint, "r+b") as f:
        f.truncate(os.path.getsize(checkpoint) // 2)
    done = command("journal", "verify", "--data", str(data))
    assert done.returncode == 1 and os.path.basename(checkpoint) in done.stdout + done.stderr
    server = Server(data)
    try:
        assert [server.value(f"SELECT v FROM d{n}") for n in range(8)] == list(range(8))
        assert server.upload("more", "v\n1\n").status_code == 201
    finally:
        server.stop()


def test_a_record_that_is_damaged_under_a_running_server_stops_its_writing(tmp_path, sound):
    """Another server's record that cannot be read: nothing is guessed, nothing is written behind it."""
    data = tmp_path / "data"
    shutil.copytree(sound, data)
    server = Server(data, "--catalog-poll-interval", "20ms")
    try:
        path = data / "primary" / record(10)
        path.write_bytes(b'{"v":1,')
        answer = server.upload("more", "v\n1\n")
        assert answer.status_code in (500, 503) and record(10) in answer.json()["detail"], answer.text
        assert server.get("/ready").status_code == 503
        assert server.value("SELECT v FROM d3") == 3
        path.unlink()
        assert server.upload("more", "v\n1\n").status_code == 201
        assert server.get("/ready").status_code == 200
    finally:
        server.stop()
    verify(data)


def test_a_terminated_server_ends_in_order_while_writers_write(tmp_path):
    data = tmp_path / "data"
    writers = [Writer(n, random.Random(SEED + n)) for n in range(3)]
    for _ in range(2):
        server = Server(data)
        for writer in writers:
            writer.check(server)
        threads = [threading.Thread(target=w.run, args=(server,)) for w in writers]
        for thread in threads:
            thread.start()
        time.sleep(0.5 * SLOW)
        server.send(signal.SIGTERM)
        server.wait()
        for thread in threads:
            thread.join()
        assert server.code == 0
        assert not files_in(data / "spool") and [f.name for f in (data / "cache").iterdir()] == ["masked"]
    server = Server(data)
    try:
        for writer in writers:
            writer.check(server)
    finally:
        server.stop()

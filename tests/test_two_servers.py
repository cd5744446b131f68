"""Two servers on one data folder, and many writers at once: nothing is lost, nothing is doubled."""

import random
import threading

import pytest
import requests

from conftest import Server, bearer, command, stop_all, wait_until

# Long, so that a test does not pass by luck because the other server happened to look.
SELDOM = ("--catalog-poll-interval", "60s")


@pytest.fixture
def pair(serve):
    """Two servers that look at the log by themselves once in a minute."""
    return serve(*SELDOM), serve(*SELDOM)


@pytest.fixture(scope="module")
def friends(tmp_path_factory):
    """Two servers that follow each other closely, for the tests of this file."""
    data = tmp_path_factory.mktemp("friends") / "data"
    servers = [Server(data, "--catalog-poll-interval", "20ms") for _ in range(2)]
    yield servers
    stop_all(servers)


def verify(data):
    done = command("journal", "verify", "--data", data)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def at_once(work, count):
    """work(0) … work(count - 1), each in a thread; the first failure is raised."""
    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as e:  # noqa: whatever it is, it fails the test
            failures.append(e)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def seq(answer):
    return int(answer.headers["X-Tarn-Seq"])


# X-Tarn-Seq

def test_an_answer_tells_where_the_log_is(pair):
    a, _ = pair
    before = seq(a.get("/catalog/datasets"))
    made = a.upload("t", "a\n1\n")
    assert seq(made) > before
    assert seq(a.get("/catalog/datasets")) == seq(made)
    [newest] = a.get("/journal?limit=1&action=dataset.*").json()["entries"]
    assert newest["seq"] == seq(made)
    failed = a.query("SELECT * FROM nothing")
    assert failed.status_code != 200 and seq(failed) >= seq(made)


def test_who_is_not_known_is_not_told(pair):
    a, _ = pair
    assert "X-Tarn-Seq" not in a.get("/health", headers={"Authorization": None}).headers
    answer = a.get("/catalog/datasets", headers={"Authorization": None, "X-Tarn-Seq": "999"})
    assert answer.status_code == 401 and "X-Tarn-Seq" not in answer.headers


def test_what_one_server_wrote_the_other_reads_when_it_is_told_to(pair):
    a, b = pair
    for n in range(10):
        writer, reader = (a, b) if n % 2 == 0 else (b, a)
        made = writer.upload("t", f"a\n{n}\n", mode="append" if n else "create",
                             headers={"X-Tarn-Seq": str(seq(made))} if n else None)
        assert made.status_code in (200, 201), made.text
        answer = reader.query("SELECT count(*) AS n, sum(a) AS s FROM t", headers={"X-Tarn-Seq": made.headers["X-Tarn-Seq"]})
        assert answer.json()["rows"] == [{"n": n + 1, "s": n * (n + 1) // 2}]
        assert seq(answer) >= seq(made)


def test_a_token_of_one_server_works_at_the_other(pair):
    a, b = pair
    made = a.post("/auth/tokens", json={"principal": "ann", "roles": ["admin"]})
    bearer = {"Authorization": "Bearer " + made.json()["token"]}
    # The sequence is waited for by those who are known already: the old token brings it.
    assert b.get("/catalog/datasets", headers={"X-Tarn-Seq": made.headers["X-Tarn-Seq"]}).status_code == 200
    assert b.get("/catalog/datasets", headers=bearer).status_code == 200


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "", "99999999999999999999"])
def test_a_wrong_sequence_is_400(friends, value):
    answer = friends[0].get("/catalog/datasets", headers={"X-Tarn-Seq": value})
    assert answer.status_code == 400 and "X-Tarn-Seq" in answer.json()["detail"]


def test_a_sequence_that_does_not_come_is_504_in_the_end(friends):
    a = friends[0]
    answer = a.get("/catalog/datasets", headers={"X-Tarn-Seq": "1000000"})
    assert answer.status_code == 504
    assert answer.json()["code"] == "deadline_exceeded" and "1000000" in answer.json()["detail"]


def test_a_request_waits_until_the_record_is_there(pair):
    a, b = pair
    next_seq = seq(a.get("/catalog/datasets")) + 1
    answers = []
    reader = threading.Thread(target=lambda: answers.append(
        b.query("SELECT sum(a) AS s FROM later", headers={"X-Tarn-Seq": str(next_seq)})))
    reader.start()
    a.ingest("later", "a\n41\n1\n")
    reader.join()
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json()["rows"] == [{"s": 42}]


# Following each other

def test_each_sees_what_the_other_does(friends):
    a, b = friends
    a.ingest("mine", "a\n1\n2\n")
    b.ingest("yours", "a\n3\n")
    wait_until(lambda: a.query("SELECT 1 FROM yours").status_code == 200)
    wait_until(lambda: b.query("SELECT 1 FROM mine").status_code == 200)
    assert a.value("SELECT sum(m.a) + sum(y.a) FROM mine m, yours y") == \
        b.value("SELECT sum(m.a) + sum(y.a) FROM mine m, yours y")
    assert b.delete("/catalog/datasets/by-name/mine").status_code == 200
    wait_until(lambda: a.query("SELECT 1 FROM mine").status_code == 404)
    assert a.post("/catalog/datasets/by-name/yours/rename", json={"to": "ours"}).status_code == 200
    wait_until(lambda: b.query("SELECT 1 FROM ours").status_code == 200)
    assert b.query("SELECT 1 FROM yours").status_code == 404


def test_a_stale_server_still_commits_rightly(pair):
    a, b = pair
    a.ingest("t", "a\n1\n")
    answer = b.upload("t", "a\n2\n")
    assert answer.status_code == 409, answer.text  # b has learnt of t by losing
    answer = b.upload("t", "a\n2\n")
    assert answer.json()["code"] == "already_exists", answer.text
    b.ingest("t", "a\n3\n", mode="append")
    a.ingest("t", "a\n4\n", mode="append")  # a did not know of b's
    assert a.value("SELECT sum(a) FROM t") == 8


def test_two_first_starts_at_once(tmp_path):
    servers = [Server(tmp_path / "data", wait=False) for _ in range(4)]
    try:
        for server in servers:
            server.wait_ready()
        for server in servers:
            assert server.get("/catalog/datasets").status_code == 200
    finally:
        stop_all(servers)
    verify(str(tmp_path / "data"))


def test_memory_that_spills_stays_each_servers_own(tmp_path):
    servers = [Server(tmp_path / "data", "--engine-memory", "60M") for _ in range(2)]
    sql = ("SELECT count(*) AS n, sum(i) AS s, count(DISTINCT v) AS d FROM (SELECT i, v, row_number() OVER (ORDER BY v) AS r "
           "FROM (SELECT i, md5(i::VARCHAR) || md5((i * 7)::VARCHAR) AS v FROM range({0}) r(i))) WHERE r > 0")
    try:
        def run(number):
            n = 500_000 + 100_000 * number
            for _ in range(2):
                [row] = servers[number].sql(sql.format(n))
                assert row == {"n": n, "s": n * (n - 1) // 2, "d": n}

        at_once(run, 2)
        assert len(list((tmp_path / "data/cache").glob("spill-*"))) == 2
    finally:
        stop_all(servers)
    assert [f.name for f in (tmp_path / "data/cache").iterdir()] == ["masked"]


# Many writers

def check_rows(server, name, writers, times, step=1):
    """Each writer's numbers are all there, each once."""
    rows = server.sql(f"SELECT writer, count(*) AS n, count(DISTINCT i) AS d, min(i) AS a, max(i) AS z FROM {name} "
                      f"GROUP BY writer ORDER BY writer")
    assert rows == [{"writer": w, "n": times * step, "d": times * step, "a": 0, "z": times * step - 1}
                    for w in range(writers)]


def test_appends_through_two_servers_are_all_there(friends):
    writers, times, step = 6, 8, 50
    friends[0].ingest("many", "writer,i\n", mode="create", header="true")
    friends[0].ingest("many", "writer,i\n0,0\n", mode="replace")
    friends[1].get("/catalog/datasets", headers={"X-Tarn-Seq": str(seq(friends[0].get("/journal")))})

    def work(writer):
        with requests.Session() as session:
            session.trust_env = False
            for i in range(times):
                server = friends[(writer + i) % 2]
                first = 1 if writer == 0 and i == 0 else 0  # this row is there
                body = "writer,i\n" + "".join(f"{writer},{i * step + k}\n" for k in range(first, step))
                answer = session.post(f"{server.url}/ingest/file", data=body.encode(), timeout=120,
                                      params={"dataset": "many", "mode": "append"},
                                      headers={"Authorization": f"Bearer {server.token}"})
                while answer.status_code == 503:
                    answer = session.post(f"{server.url}/ingest/file", data=body.encode(), timeout=120,
                                          params={"dataset": "many", "mode": "append"},
                                          headers={"Authorization": f"Bearer {server.token}"})
                assert answer.status_code == 200, answer.text

    at_once(work, writers)
    last = max(seq(s.get("/journal")) for s in friends)
    for server in friends:
        server.get("/catalog/datasets", headers={"X-Tarn-Seq": str(last)})
        check_rows(server, "many", writers, times, step)
    verify(friends[0].data)


def test_command_lines_that_commit_at_once(friends, tmp_path):
    """Each dataset is written by half of them; every one is another process."""
    writers, times = 4, 4
    for dataset in ("cli0", "cli1"):
        friends[0].ingest(dataset, "writer,i,w\n0,0,x\n")
        friends[0].ingest(dataset, "writer,i,w\n-1,0,x\n", mode="replace")
    last = seq(friends[0].get("/journal"))
    friends[1].get("/catalog/datasets", headers={"X-Tarn-Seq": str(last)})

    def work(writer):
        server = friends[writer % 2]
        for i in range(times):
            file = tmp_path / f"{writer}-{i}.csv"
            file.write_text(f"writer,i,w\n{writer},{i},x\n")
            for _ in range(20):
                done = command("ingest", str(file), "--dataset", f"cli{i % 2}", "--mode", "append",
                               "--data", server.data, "--url", server.url)
                if "unavailable" not in done.stderr and "places" not in done.stderr:
                    break
            assert done.returncode == 0, done.stdout + done.stderr

    at_once(work, writers)
    last = max(seq(s.get("/journal")) for s in friends)
    for server in friends:
        server.get("/catalog/datasets", headers={"X-Tarn-Seq": str(last)})
        for n in range(2):
            rows = server.sql(f"SELECT writer, i FROM cli{n} WHERE writer >= 0 ORDER BY ALL", format="arrays")
            assert rows == [[w, i] for w in range(writers) for i in range(times) if i % 2 == n]
    verify(friends[0].data)


def test_of_creations_at_once_one_wins_and_its_rows_are_there(friends):
    for round_ in range(5):
        answers = {}

        def work(number, round_=round_, answers=answers):
            answers[number] = friends[number].upload(f"race{round_}", f"a\n{number}\n")

        at_once(work, 2)
        codes = sorted(a.status_code for a in answers.values())
        assert codes[0] in (200, 201) and codes[1] == 409, [a.text for a in answers.values()]
        [winner] = [n for n, a in answers.items() if a.status_code in (200, 201)]
        for server in friends:
            server.get("/catalog/datasets", headers={"X-Tarn-Seq": answers[winner].headers["X-Tarn-Seq"]})
            assert server.value(f"SELECT sum(a) FROM race{round_}") == winner


def test_changes_of_names_at_once_leave_one_name(friends):
    """Renames, drops and appends of the same dataset through both: every answer is what happened."""
    chance = random.Random(3)
    a, b = friends
    for round_ in range(6):
        name, other = f"n{round_}", f"m{round_}"
        made = a.upload(name, "a\n1\n")
        b.get("/catalog/datasets", headers={"X-Tarn-Seq": made.headers["X-Tarn-Seq"]})
        answers = [None, None]
        second = chance.choice(["drop", "append", "rename"])

        def work(number, name=name, other=other, answers=answers, second=second):
            path = f"/catalog/datasets/by-name/{name}"
            if number == 0:
                answers[0] = a.post(path + "/rename", json={"to": other})
            elif second == "drop":
                answers[1] = b.delete(path)
            elif second == "append":
                answers[1] = b.upload(name, "a\n2\n", mode="append")
            else:
                answers[1] = b.post(path + "/rename", json={"to": other + "b"})

        at_once(work, 2)
        good = [r.status_code in (200, 201) for r in answers]
        assert any(good), [r.text for r in answers]
        assert all(r.status_code in (200, 201, 404, 409) for r in answers), [r.text for r in answers]
        last = max(seq(r) for r in answers)
        seen = []
        for server in friends:
            listed = server.get("/catalog/datasets?limit=1000", headers={"X-Tarn-Seq": str(last)}).json()["datasets"]
            names = [d["name"] for d in listed if d["name"] in (name, other, other + "b")]
            seen.append([(n, server.value(f'SELECT sum(a) FROM "{n}"')) for n in names])
        assert seen[0] == seen[1]
        if second == "append" and good[1]:
            assert [s for _, s in seen[0]] == [3]
        elif second == "drop" and good[1]:
            assert seen[0] == []
        else:
            assert len(seen[0]) == 1


def test_a_killed_server_costs_the_other_nothing(tmp_path):
    data = tmp_path / "data"
    a, b = Server(data, *SELDOM), Server(data, *SELDOM)
    try:
        a.ingest("t", "a\n1\n")
        b.ingest("t", "a\n2\n", mode="append", headers={"X-Tarn-Seq": str(seq(a.get("/journal")))})
        a.kill()
        b.ingest("t", "a\n4\n", mode="append")
        c = Server(data, *SELDOM)
        try:
            assert c.value("SELECT sum(a) FROM t") == b.value("SELECT sum(a) FROM t") == 7
        finally:
            c.stop()
        assert b.value("SELECT sum(a) FROM t") == 7
    finally:
        stop_all([b])
    verify(str(data))


def test_workers_of_one_server_forget_what_another_has_removed(serve):
    a = serve()
    a.ingest("people", "id,name\n1,Ann\n2,Bob\n")
    assert a.post("/catalog/views", json={"name": "safe", "base_dataset": "people", "columns": ["id", "name"]}).status_code == 201
    agent = bearer(a.let_in("agent", {"view:safe": ["read"]}))
    b = serve()

    def ask():
        assert len(b.query("SELECT * FROM safe", headers=agent).json()["rows"]) == 2

    ask()
    wait_until(lambda: b.metric("workers_started") == 2)  # the one that has served, and the spare one
    ask()
    assert b.metric("workers_started") == 2
    assert a.post("/catalog/mask-key/rotate").status_code == 200
    wait_until(lambda: ask() or b.metric("workers_started") > 2)

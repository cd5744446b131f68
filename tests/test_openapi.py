"""/openapi.json: a valid OpenAPI 3.1 document, of routes that are there, whose real answers are what it says."""

import re

import pytest
from conftest import Server
from jsonschema import Draft202012Validator

# What an OpenAPI 3.1 document must be, as far as ours goes.
MEDIA = {"type": "object", "minProperties": 1, "patternProperties": {
    r"^[a-z]+/[\w.+-]+$": {"type": "object", "required": ["schema"], "properties": {"schema": {"type": "object"}}}},
    "additionalProperties": False}
PARAMETER = {"type": "object", "required": ["name", "in", "schema", "description"], "properties": {
    "name": {"type": "string"}, "in": {"enum": ["query", "path", "header"]}, "required": {"type": "boolean"},
    "description": {"type": "string", "minLength": 1}, "schema": {"type": "object"}},
    "if": {"properties": {"in": {"const": "path"}}}, "then": {"properties": {"required": {"const": True}}, "required": ["required"]}}
OPERATION = {"type": "object", "required": ["operationId", "summary", "tags", "responses"], "properties": {
    "operationId": {"type": "string", "pattern": "^[a-z][A-Za-z]+$"}, "summary": {"type": "string", "minLength": 1},
    "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "x-tarn-permission": {"type": "object", "required": ["object"], "properties": {
        "object": {"enum": ["none", "token", "server", "dataset", "view"]}, "right": {"type": "string"},
        "name": {"enum": ["path", "body"]}}, "additionalProperties": False},
    "parameters": {"type": "array", "items": PARAMETER}, "security": {"type": "array", "items": {"type": "object"}},
    "requestBody": {"type": "object", "required": ["content"],
                    "properties": {"content": MEDIA, "required": {"type": "boolean"}, "description": {"type": "string"}},
                    "additionalProperties": False},
    "responses": {"type": "object", "required": ["default"], "patternProperties": {
        r"^([1-5](\d\d|XX)|default)$": {"type": "object", "required": ["description"], "properties": {
            "description": {"type": "string"}, "content": MEDIA, "headers": {"type": "object"}}, "additionalProperties": False}},
        "additionalProperties": False}},
    "additionalProperties": False}
DOCUMENT = {"type": "object", "required": ["openapi", "info", "paths", "components", "security"], "properties": {
    "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
    "info": {"type": "object", "required": ["title", "version"], "properties": {"title": {"type": "string"},
                                                                               "version": {"type": "string"}}},
    "security": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    "paths": {"type": "object", "minProperties": 1, "patternProperties": {r"^/": {
        "type": "object", "minProperties": 1, "patternProperties": {"^(get|put|post|delete|patch|head|options)$": OPERATION},
        "additionalProperties": False}}, "additionalProperties": False},
    "components": {"type": "object", "required": ["schemas", "securitySchemes"], "properties": {
        "schemas": {"type": "object", "patternProperties": {r"^[A-Za-z]+$": {"type": "object"}}, "additionalProperties": False},
        "securitySchemes": {"type": "object", "additionalProperties": {
            "type": "object", "required": ["type"], "properties": {"type": {"enum": ["http", "apiKey", "oauth2", "openIdConnect"]}}}}},
        "additionalProperties": False}},
    "additionalProperties": False}

CSV = {"Content-Type": "text/csv"}
ASYNC = {"Prefer": "respond-async"}


class Calls:
    """Requests by the id of their operation; keeps all answers."""

    def __init__(self, server):
        self.server = server
        self.document = server.get("/openapi.json").json()
        self.operations = {o["operationId"]: (method.upper(), path, o)
                           for path, item in self.document["paths"].items() for method, o in item.items()}
        self.answers = []

    def __call__(self, operation, path="", **more):
        method, pattern, _ = self.operations[operation]
        answer = self.server.request(method, re.sub(r"\{[^}]*\}", path, pattern), **more)
        self.answers.append((operation, answer, more.get("json")))
        return answer.json() if answer.headers["Content-Type"] == "application/json" else answer.text


def use_every_route(call):
    """Each operation at least once, with what it is meant for. A new route has its example here."""
    for operation in ("health", "ready", "version", "metrics", "openapi"):
        call(operation)
    for service in ("gateway", "storage", "catalog", "query", "ingest"):
        call("healthOfService", service)

    call("ingestFile", params={"dataset": "cities"}, data="id,city\n1,Denver\n2,Boise\n", headers=CSV)
    call("ingestFile", params={"dataset": "cities"}, data="id,city\n1,Denver\n2,Boise\n", headers=CSV)
    call("ingestFile", params={"dataset": "cities", "mode": "upsert", "key": "id"}, data="id,city\n2,Reno\n3,Taos\n", headers=CSV)
    call("ingestFile", params={"dataset": "form"}, files={"file": ("form.csv", "a\n1\n")})
    call("ingestFile", params={"dataset": "other"}, data="a\n1\n", headers=CSV)
    bad = call("ingestFile", params={"dataset": "partly", "on_error": "reject"}, headers=CSV,
               data="n,t\n" + "1,x\n" * 50 + "2,y,z\n")
    call("ingestRejects", bad["rejected"]["url"].rsplit("/", 1)[1])
    for body in ({"dataset": "cities", "mode": "append", "rows": [{"id": 4, "city": "Moab"}], "reason": "one more"},
                 {"dataset": "cities", "mode": "upsert", "key": "id", "rows": [{"id": 4, "city": "Provo"}]},
                 {"dataset": "cities", "mode": "delete", "key": ["id"], "rows": [{"id": 4}]}):
        call("ingestDelta", json=body)

    call("tombstone", "cities", json={"row_key_column": "id", "row_key_values": [1, 2, 2, "x", None], "actor": "clerk",
                                      "reason": "an example", "purge_not_before": "2020-01-01", "purge_by": "2020-02-01"})
    call("tombstone", "cities", json={"row_key_column": "id", "row_key_values": [3]}, params={"reason": "one more"})
    call("listTombstones", "cities")
    call("listTombstones", "cities", params={"limit": 1, "overdue": "true"})
    call("reportTombstones")
    call("reportTombstones", params={"overdue": "true"})
    call("undoTombstone", "cities", json={"row_key_values": [1, 2, 9], "reason": "only an example"})
    call("undoTombstone", "cities", json={"row_key_values": [3], "row_key_column": "id"})
    call("listTombstones", "cities")

    call("listDatasets")
    call("listDatasets", params={"limit": 1})
    call("showDataset", "cities")
    call("alterColumns", "other", json={"changes": [{"op": "add", "name": "b", "type": "VARCHAR"}], "reason": "wider"})
    call("renameDataset", "other", json={"to": "another"}, params={"reason": "better"})
    call("listSuppressions")
    call("dropDataset", "another", params={"reason": "done with it"})

    view = {"name": "towns", "base_dataset": "cities", "columns": ["id", "city"], "row_filter": "id > 0",
            "column_redactions": {"city": {"mask": {"keep_prefix": 1, "keep_suffix": 0}}}}
    call("createView", json=view)
    call("createView", json={**view, "column_redactions": {"city": "hash"}, "replace": True}, params={"reason": "better"})
    call("createView", json={"name": "plain", "base_dataset": "cities", "columns": ["id"]})
    call("listViews")
    call("listViews", params={"limit": 1})
    call("showView", "towns")
    call("showView", "towns", params={"version": 1})
    for body in ({"view": "towns", "as": ["admin"]}, {"sql": "SELECT * FROM towns", "as": ["admin", "role:admin"], "rows_max": 1},
                 {"dataset": "cities", "as": ["principal:admin"]}, {"sql": "SELECT * FROM nosuch", "as": ["admin"]}):
        call("preview", json=body)
    call("rotateMaskKey", params={"reason": "an example"})
    call("removeView", "towns", params={"reason": "done with it"})

    for accept in ("application/json", "text/csv", "text/tab-separated-values", "application/x-ndjson",
                   "application/vnd.apache.arrow.stream"):
        call("querySql", json={"sql": "SELECT * FROM cities"}, headers={"Accept": accept})
    call("querySql", json={"sql": "SELECT * FROM cities AT (VERSION => 1)", "format": "arrays", "big_numbers": "string"})
    call("querySql", json={"sql": "SELECT * FROM cities", "rows_max": 1})
    call("querySql", data="SELECT 1 AS one", headers={"Content-Type": "text/plain"})
    for sql in ("CREATE TABLE written AS SELECT * FROM cities", "INSERT INTO written VALUES (9, 'Ely')",
                "UPDATE written SET city = 'Elko' WHERE id = 9", "ALTER TABLE written ADD COLUMN zip INTEGER",
                "DELETE FROM written WHERE id = 9", "DROP TABLE written"):
        call("querySql", json={"sql": sql, "reason": "an example"})
    slow = {"sql": "SELECT * FROM range(3000000000)"}
    with call.server.post("/query/sql", json=slow, stream=True, headers={"Accept": "text/csv"}) as answer:
        [query] = call("listQueries")["queries"]
        assert query["id"] == answer.headers["X-Tarn-Query"]
        call("stopQuery", query["id"])

    call("compact", json={"dataset": "cities"})
    call("compact", json={"all": True, "dry_run": True})
    job = call("compact", json={"all": True}, headers=ASYNC)
    call("watchJob", job["id"])
    call("showJob", job["id"])
    call("listJobs")
    call("listJobs", params={"limit": 1})

    call("ingestFile", params={"dataset": "visitors"}, data="visitor,city\nv-100001,Boise\nv-100002,Reno\n", headers=CSV)
    look = {"row_key_column": "visitor", "row_key_values": ["v-100001"], "dry_run": True}
    call("erase", "visitors", json=look)
    erased = call("erase", "visitors", json={
        "row_key_column": "visitor", "row_key_values": ["v-100001"], "datasets": [], "shared": True, "search": ["Boise Bob"],
        "suppress": True, "reason": "asked for"})
    call("verifyReceipt", json=erased)
    call("showReceiptKey")
    call("listErasures")
    call("listErasures", params={"limit": 1})
    call("showErasure", erased["id"])
    call("showReceipt", erased["id"])
    call("resumeErasure", erased["id"])
    assert call("listSuppressions")["suppressions"] == [{"name": "visitors", "column": "visitor", "count": 1}]
    call("removeSuppression", "visitors", params={"reason": "an example"})

    call("listSnapshots", "cities")
    [_, older, *_] = call("listSnapshots", "cities", params={"limit": 3})["snapshots"]
    call("rollBack", "cities", json={"version": older["id"], "dry_run": True})
    call("rollBack", "cities", json={"version": older["id"]}, params={"reason": "the last change was wrong"})
    call("expireSnapshots", "cities", json={"dry_run": True})
    call("expireSnapshots", "cities", json={"max_age_ms": 0, "keep_min": 1})
    call("removeOrphans", "cities", json={"dry_run": True})
    call("removeOrphans", "cities", json={"older_than_ms": 3600000})
    call("pinDataset", json={"dataset": "cities"})
    call("showCache")
    call("evictDataset", json={"dataset": "cities"})
    call("evictDataset", json={"all": True})

    role = {"grants": [{"object": "dataset:cities", "rights": ["read_raw", "write"]}], "limits": {"rows_max": 1000}}
    call("putRole", "clerk", json=role)
    call("putRole", "clerk", json={**role, "limits": {}}, params={"reason": "no limits"})
    call("listRoles")
    call("showRole", "clerk")
    call("createToken", json={"principal": "cleo", "roles": ["clerk"]})
    call("removeRole", "clerk", params={"reason": "nobody needs it"})
    made = call("createToken", json={"principal": "ann", "roles": ["admin"], "expires_at": "2099-01-01T00:00:00Z"})
    call("createToken", json={"principal": "bob", "roles": ["admin"], "expires_at": None})
    call("listTokens")
    call("revokeToken", made["id"])
    call("listJournal")
    call("listJournal", params={"limit": 2})
    call("listJournal", params={"action": "dataset.*", "outcome": "done", "from": "2020-01-01T00:00:00Z", "actor": "admin"})
    verdict = call("verifyJournal")
    call("verifyJournal", params={"head": f"{verdict['last_seq']}:{verdict['head_sha256']}"})


# Operations that need a moment that is hard to meet: what they answer to a client that comes too late is looked at.
TOO_LATE = {"stopJob": "01AAAAAAAAAAAAAAAAAAAAAAAA"}


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("openapi") / "data")
    calls = Calls(server)
    use_every_route(calls)
    yield calls
    server.stop()


def each(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def inside(value):
    """All objects in a JSON value."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(part)


def close(schema, part=False):
    """The schema, such that a member of an object that it does not speak of is an error."""
    closed = dict(schema)
    for key in ("properties", "patternProperties"):
        if key in schema:
            closed[key] = {name: close(s) for name, s in schema[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            closed[key] = close(schema[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            closed[key] = [close(s, True) for s in schema[key]]
    if not part and "additionalProperties" not in schema:
        closed["unevaluatedProperties"] = False
    return closed


def complaints(document, schema, value):
    components = {"schemas": {name: close(s, True) for name, s in document["components"]["schemas"].items()}}
    validator = Draft202012Validator({"components": components, **close(schema)})
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(value)]


# The document

def test_it_is_a_valid_document(calls):
    assert [e.message[:300] for e in Draft202012Validator(DOCUMENT).iter_errors(calls.document)] == []
    assert calls.document["info"]["version"] == calls.server.get("/version").json()["version"]
    assert calls.server.get("/openapi.json", headers={"Authorization": None}).json() == calls.document


def test_its_schemas_are_schemas(calls):
    for schema in calls.document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for _, _, operation in each(calls.document):
        for media in inside(operation):
            if "schema" in media:
                Draft202012Validator.check_schema(media["schema"])


def test_every_reference_leads_somewhere_and_every_schema_is_referred_to(calls):
    used = set()
    for value in inside(calls.document):
        if "$ref" in value:
            assert value["$ref"].startswith("#/components/schemas/")
            used.add(value["$ref"].rsplit("/", 1)[1])
    assert used == set(calls.document["components"]["schemas"])


def test_operations_have_ids_of_their_own_and_their_parameters(calls):
    ids = [operation["operationId"] for _, _, operation in each(calls.document)]
    assert len(set(ids)) == len(ids)
    for _, path, operation in each(calls.document):
        parameters = operation["parameters"]
        assert [p["name"] for p in parameters if p["in"] == "path"] == re.findall(r"\{(\w+)\}", path)
        names = [(p["in"], p["name"]) for p in parameters]
        assert len(set(names)) == len(names)


def test_security_names_a_scheme_that_is_there(calls):
    schemes = calls.document["components"]["securitySchemes"]
    assert schemes["token"] == {"type": "http", "scheme": "bearer"}
    for requirement in calls.document["security"]:
        assert set(requirement) <= set(schemes)


# The routes

def test_every_route_has_an_example(calls):
    done = {operation for operation, _, _ in calls.answers} | set(TOO_LATE)
    assert done == set(calls.operations), "give a new route an example in use_every_route"


def test_every_route_is_there(calls):
    for method, path, operation in each(calls.document):
        answer = calls.server.request(method, re.sub(r"\{[^}]*\}", "query" if "{service}" in path else "x", path))
        body = answer.text
        assert answer.status_code != 405 and "there is nothing at" not in body, (method, path, body[:200])
        assert answer.status_code < 500, (method, path, body[:200])


def test_every_example_goes_well(calls):
    for operation, answer, _ in calls.answers:
        assert 200 <= answer.status_code < 300, (operation, answer.status_code, answer.text[:500])


def test_answers_are_what_the_document_says(calls):
    for operation, answer, _ in calls.answers:
        responses = calls.operations[operation][2]["responses"]
        content = responses.get(str(answer.status_code), responses.get("2XX"))["content"]
        kind = answer.headers["Content-Type"].split(";")[0]
        assert kind in content, (operation, kind)
        value = answer.json() if kind == "application/json" else answer.text
        assert not complaints(calls.document, content[kind]["schema"], value), \
            (operation, complaints(calls.document, content[kind]["schema"], value))


def test_requests_are_what_the_document_says(calls):
    for operation, _, body in calls.answers:
        if body is not None:
            schema = calls.operations[operation][2]["requestBody"]["content"]["application/json"]["schema"]
            assert not complaints(calls.document, schema, body), (operation, complaints(calls.document, schema, body))


def is_problem(calls, answer, operation, code):
    content = operation["responses"]["default"]["content"]
    assert answer.headers["Content-Type"] in content
    body = answer.json()
    assert not complaints(calls.document, content["application/problem+json"]["schema"], body)
    assert body["code"] == code and body["status"] == answer.status_code, body
    return body


def request(calls, method, path, name="x", **more):
    return calls.server.request(method, re.sub(r"\{[^}]*\}", "query" if "{service}" in path else name, path), **more)


def there(operation):
    """A name for the path with which the request comes as far as its parameters and its body."""
    permission = operation["x-tarn-permission"]
    return {"dataset": "cities", "view": "plain"}.get(permission["object"], "x") if permission.get("name") == "path" else "x"


def test_problems_are_what_the_document_says(calls):
    bodies = {name: body for name, _, body in calls.answers if body is not None}
    for method, path, operation in each(calls.document):
        is_problem(calls, request(calls, method, path, params={"nosuch": "1"}), operation, "invalid_argument")
        if operation.get("security") != []:
            is_problem(calls, request(calls, method, path, headers={"Authorization": None}), operation, "unauthenticated")
        if "{" in path and "{service}" not in path and method != "PUT":
            answer = request(calls, method, path, json=bodies.get(operation["operationId"]))
            is_problem(calls, answer, operation, "not_found")
    for name, late in TOO_LATE.items():
        method, path, operation = calls.operations[name]
        is_problem(calls, calls.server.request(method, path.replace("{id}", late)), operation, "not_found")


def test_parameters_have_the_type_that_the_document_says(calls):
    bodies = {name: body for name, _, body in calls.answers if body is not None}
    for method, path, operation in each(calls.document):
        for parameter in operation["parameters"]:
            kind, name = parameter["schema"]["type"], parameter["name"]
            if kind in ("integer", "boolean") and path != "/ingest/delta":  # where they are those of a file
                more = {"params": {"dataset": "x"}} if path == "/ingest/file" else {"json": bodies.get(operation["operationId"])}
                where = "params" if parameter["in"] == "query" else "headers"
                more[where] = {**more.get(where, {}), name: "x y"}
                answer = request(calls, method, path, there(operation), **more)
                body = is_problem(calls, answer, operation, "invalid_argument")
                assert name in body["detail"]


def test_a_body_with_an_unknown_member_is_refused(calls):
    count = 0
    for method, path, operation in each(calls.document):
        json_body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if json_body:
            count += 1
            schema = calls.document["components"]["schemas"][json_body["schema"]["$ref"].rsplit("/", 1)[1]]
            assert schema["additionalProperties"] is False, path
            example = next(body for name, _, body in calls.answers if name == operation["operationId"] and body is not None)
            answer = request(calls, method, path, there(operation), json={**example, "nosuch": 1})
            if operation["operationId"] == "verifyReceipt":  # that is what it is asked about
                assert answer.json()["ok"] is False
                continue
            assert "nosuch" in is_problem(calls, answer, operation, "invalid_argument")["detail"]
    assert count >= 5

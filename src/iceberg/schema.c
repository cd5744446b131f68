// Iceberg schemas: parsing, JSON, ids, comparison and the fingerprint.
//
// The fingerprint is the SHA-256 of this canonical text, in UTF-8:
//
//   schema   = "struct<" fields ">"
//   fields   = field *("," field)                     in schema order; nothing for an empty struct
//   field    = name ":" type ["!"]                    "!": required
//   name     = a JSON string literal with its quotes
//   type     = primitive | "list<" item ">" | "map<" item "," item ">" | "struct<" fields ">"
//   item     = type ["!"]                             a map's key is always required
//   primitive = the word of the Iceberg specification; "decimal(10,2)" and "fixed[16]" without
//   blanks
//
// So `id long required, tags list<string>` is  struct<"id":long!,"tags":list<string>>.  Ids, docs
// and the schema id stay out: two tables with the same columns have the same fingerprint.
#include "iceberg/schema.h"

#include "base/hash.h"

#include <stdlib.h>

static const char *const kind_names[] = {
#define X(kind, name) name,
    ICE_KINDS(X)
#undef X
};

// Words of format v3 that may stand where a type does.
static const char *const later_types[] = {"unknown", "timestamp_ns", "timestamptz_ns", "variant"};

struct where {
    const struct where *up;
    struct str name;
};

struct parser {
    struct arena *a;
    struct err *err;
    size_t fields; // seen so far, nested ones too
};

static void add_path(struct buf *out, const struct where *w) {
    if (w->up && w->up->name.len) {
        add_path(out, w->up);
        buf_add_char(out, '.');
    }
    buf_add_str(out, w->name);
}

static enum err_code bad(struct parser *p, enum err_code code, const struct where *w,
                         const char *what) {
    if (!w->name.len) {
        return err_set(p->err, code, "schema: %s", what);
    }
    DEFER(buf_release) struct buf path = BUF(256);
    add_path(&path, w);
    return err_set(p->err, code, "schema: field \"%s\": %s", path.ptr ? path.ptr : "", what);
}

static bool get_i32(const json_t *obj, const char *key, int32_t *ret) {
    int64_t v = 0;
    if (!json_get_i64(obj, key, &v) || v < INT32_MIN || v > INT32_MAX) {
        return false;
    }
    *ret = (int32_t)v;
    return true;
}

// A number in the parameters of a type: "decimal(10, 2)" allows blanks.
static bool parameter(struct str s, int64_t low, int64_t high, int32_t *ret) {
    int64_t v = 0;
    if (!str_to_i64(str_trim(s), &v) || v < low || v > high) {
        return false;
    }
    *ret = (int32_t)v;
    return true;
}

static bool parse_decimal(struct str word, struct ice_type *t) {
    if (!str_starts(word, STR("decimal(")) || !str_ends(word, STR(")"))) {
        return false;
    }
    struct str rest = str_slice(word, strlen("decimal("), word.len - 1);
    struct str head;
    if (!str_cut(&rest, ',', &head)) {
        return false;
    }
    t->kind = ICE_DECIMAL;
    return parameter(head, 1, 38, &t->precision) && parameter(rest, 0, t->precision, &t->scale);
}

static bool parse_fixed(struct str word, struct ice_type *t) {
    if (!str_starts(word, STR("fixed[")) || !str_ends(word, STR("]"))) {
        return false;
    }
    t->kind = ICE_FIXED;
    return parameter(str_slice(word, strlen("fixed["), word.len - 1), 0, INT32_MAX, &t->length);
}

static enum err_code parse_word(struct parser *p, struct str word, const struct where *w,
                                struct ice_type *ret) {
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
        if (kind_names[i][0] && str_is(word, kind_names[i])) {
            ret->kind = (enum ice_kind)i;
            return ERR_OK;
        }
    }
    if (parse_decimal(word, ret) || parse_fixed(word, ret)) {
        return ERR_OK;
    }
    bool later = str_starts(word, STR("geometry")) || str_starts(word, STR("geography"));
    for (size_t i = 0; i < ARRAY_LEN(later_types); i++) {
        later = later || str_is(word, later_types[i]);
    }
    if (later) {
        return bad(p, ERR_UNSUPPORTED, w, "a type of a later format version");
    }
    return bad(p, ERR_CORRUPT, w, "not a type");
}

static enum err_code parse_type(struct parser *p, const json_t *json, const struct where *w,
                                int depth, struct ice_type *ret);

static enum err_code count_fields(struct parser *p, const struct where *w, size_t count) {
    p->fields += count;
    if (p->fields > ICE_SCHEMA_FIELDS_MAX) {
        return bad(p, ERR_CORRUPT, w, "too many fields");
    }
    return ERR_OK;
}

static enum err_code parse_field(struct parser *p, const json_t *json, const struct where *up,
                                 int depth, struct ice_field *ret) {
    struct str name = STR_NONE;
    if (!json_get_str(json, "name", &name)) {
        return bad(p, ERR_CORRUPT, up, "a field without a name");
    }
    struct where w = {up, name};
    ret->name = arena_str(p->a, name);
    if (!get_i32(json, "id", &ret->id) || ret->id <= 0) {
        return bad(p, ERR_CORRUPT, &w, "no id, or not a positive integer");
    }
    if (!json_get_bool(json, "required", &ret->required)) {
        return bad(p, ERR_CORRUPT, &w, "\"required\" is missing or not a boolean");
    }
    struct str doc = STR_NONE;
    if (json_get_str(json, "doc", &doc)) {
        ret->doc = arena_str(p->a, doc);
    }
    return parse_type(p, json_object_get(json, "type"), &w, depth + 1, &ret->type);
}

static enum err_code parse_struct(struct parser *p, const json_t *json, const struct where *w,
                                  int depth, struct ice_type *ret) {
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields)) {
        return bad(p, ERR_CORRUPT, w, "a struct without a list of fields");
    }
    size_t count = json_array_size(fields);
    TRY(count_fields(p, w, count));
    ret->kind = ICE_STRUCT;
    ret->field_count = count;
    ret->fields = arena_array(p->a, count, sizeof(*ret->fields));
    for (size_t i = 0; i < count; i++) {
        TRY(parse_field(p, json_array_get(fields, i), w, depth, &ret->fields[i]));
    }
    return ERR_OK;
}

// One of the fields that a list or a map has: their ids and types stand in the parent's object.
struct inner {
    const char *name, *id_key, *type_key, *required_key; // required_key NULL: always required
};

static enum err_code parse_inner(struct parser *p, const json_t *json, const struct where *up,
                                 const struct inner *inner, int depth, struct ice_field *ret) {
    struct where w = {up, str_from(inner->name)};
    ret->name = str_from(inner->name);
    ret->required = true;
    if (!get_i32(json, inner->id_key, &ret->id) || ret->id <= 0) {
        return bad(p, ERR_CORRUPT, &w, "no id, or not a positive integer");
    }
    if (inner->required_key && !json_get_bool(json, inner->required_key, &ret->required)) {
        return bad(p, ERR_CORRUPT, &w, "whether it is required is missing or not a boolean");
    }
    return parse_type(p, json_object_get(json, inner->type_key), &w, depth + 1, &ret->type);
}

static const struct inner list_inner[] = {
    {"element", "element-id", "element", "element-required"},
};
static const struct inner map_inner[] = {
    {"key", "key-id", "key", NULL},
    {"value", "value-id", "value", "value-required"},
};

static enum err_code parse_container(struct parser *p, const json_t *json, const struct where *w,
                                     int depth, struct ice_type *ret) {
    bool map = ret->kind == ICE_MAP;
    const struct inner *inner = map ? map_inner : list_inner;
    ret->field_count = map ? ARRAY_LEN(map_inner) : ARRAY_LEN(list_inner);
    TRY(count_fields(p, w, ret->field_count));
    ret->fields = arena_array(p->a, ret->field_count, sizeof(*ret->fields));
    for (size_t i = 0; i < ret->field_count; i++) {
        TRY(parse_inner(p, json, w, &inner[i], depth, &ret->fields[i]));
    }
    return ERR_OK;
}

static enum err_code parse_type(struct parser *p, const json_t *json, const struct where *w,
                                int depth, struct ice_type *ret) {
    if (depth > ICE_SCHEMA_DEPTH_MAX) {
        return bad(p, ERR_CORRUPT, w, "nested too deeply");
    }
    if (json_is_string(json)) {
        struct str word = {json_string_value(json), json_string_length(json)};
        return parse_word(p, word, w, ret);
    }
    struct str kind = STR_NONE;
    if (!json_is_object(json) || !json_get_str(json, "type", &kind)) {
        return bad(p, ERR_CORRUPT, w, "no type");
    }
    if (str_is(kind, "struct")) {
        return parse_struct(p, json, w, depth, ret);
    }
    if (str_is(kind, "list") || str_is(kind, "map")) {
        ret->kind = str_is(kind, "map") ? ICE_MAP : ICE_LIST;
        return parse_container(p, json, w, depth, ret);
    }
    return bad(p, ERR_CORRUPT, w, "not a type");
}

static void collect_ids(const struct ice_field *fields, size_t count, int32_t *ids, size_t *at) {
    for (size_t i = 0; i < count; i++) {
        ids[(*at)++] = fields[i].id;
        collect_ids(fields[i].type.fields, fields[i].type.field_count, ids, at);
    }
}

static int id_order(const void *a, const void *b) {
    const int32_t *x = a;
    const int32_t *y = b;
    return (*x > *y) - (*x < *y);
}

static enum err_code check_ids(struct parser *p, const struct ice_schema *s) {
    int32_t *ids = arena_array(p->a, p->fields, sizeof(*ids));
    size_t count = 0;
    collect_ids(s->fields, s->field_count, ids, &count);
    CHECK(count == p->fields);
    if (count) {
        qsort(ids, count, sizeof(*ids), id_order);
    }
    for (size_t i = 1; i < count; i++) {
        if (ids[i] == ids[i - 1]) {
            return err_set(p->err, ERR_CORRUPT, "schema: field id %d stands twice", ids[i]);
        }
    }
    return ERR_OK;
}

static enum err_code parse_identifiers(struct parser *p, const json_t *json, struct ice_schema *s) {
    const json_t *ids = json_object_get(json, "identifier-field-ids");
    if (!ids || json_is_null(ids)) {
        return ERR_OK;
    }
    if (!json_is_array(ids)) {
        return err_set(p->err, ERR_CORRUPT, "schema: identifier-field-ids is not a list");
    }
    s->identifier_count = json_array_size(ids);
    s->identifier_ids = arena_array(p->a, s->identifier_count, sizeof(*s->identifier_ids));
    for (size_t i = 0; i < s->identifier_count; i++) {
        const json_t *id = json_array_get(ids, i);
        json_int_t v = json_is_integer(id) ? json_integer_value(id) : 0;
        if (v <= 0 || v > INT32_MAX || !ice_schema_find_id(s, (int32_t)v)) {
            return err_set(p->err, ERR_CORRUPT, "schema: an identifier-field-id names no field");
        }
        s->identifier_ids[i] = (int32_t)v;
    }
    return ERR_OK;
}

enum err_code ice_schema_parse(const json_t *json, struct arena *a, struct ice_schema **ret,
                               struct err *err) {
    struct parser p = {.a = a, .err = err};
    struct where top = {NULL, STR_NONE};
    struct ice_type type = {0};
    if (!json_is_object(json)) {
        return err_set(err, ERR_CORRUPT, "schema: not an object");
    }
    TRY(parse_struct(&p, json, &top, 0, &type));
    struct ice_schema *s = arena_alloc(a, sizeof(*s));
    s->fields = type.fields;
    s->field_count = type.field_count;
    const json_t *id = json_object_get(json, "schema-id");
    if (id && !get_i32(json, "schema-id", &s->schema_id)) {
        return err_set(err, ERR_CORRUPT, "schema: schema-id is not an integer");
    }
    TRY(check_ids(&p, s));
    TRY(parse_identifiers(&p, json, s));
    *ret = s;
    return ERR_OK;
}

static void set(json_t *obj, const char *key, json_t *value) {
    CHECK(value && json_object_set_new_nocheck(obj, key, value) == 0);
}

static void append(json_t *array, json_t *value) {
    CHECK(value && json_array_append_new(array, value) == 0);
}

static struct str primitive_text(const struct ice_type *t, struct arena *a) {
    if (t->kind == ICE_DECIMAL) {
        return arena_printf(a, "decimal(%d,%d)", t->precision, t->scale);
    }
    if (t->kind == ICE_FIXED) {
        return arena_printf(a, "fixed[%d]", t->length);
    }
    return str_from(kind_names[t->kind]);
}

static json_t *fields_json(const struct ice_field *fields, size_t count);

static json_t *type_json(const struct ice_type *t) {
    if (t->field_count == 0 && t->kind != ICE_STRUCT) {
        DEFER(arena_release) struct arena a = ARENA(1024);
        return json_new_str(primitive_text(t, &a));
    }
    json_t *obj = json_object();
    if (t->kind == ICE_STRUCT) {
        set(obj, "type", json_string("struct"));
        set(obj, "fields", fields_json(t->fields, t->field_count));
        return obj;
    }
    bool map = t->kind == ICE_MAP;
    const struct inner *inner = map ? map_inner : list_inner;
    set(obj, "type", json_string(map ? "map" : "list"));
    for (size_t i = 0; i < t->field_count; i++) {
        const struct ice_field *f = &t->fields[i];
        set(obj, inner[i].id_key, json_integer(f->id));
        set(obj, inner[i].type_key, type_json(&f->type));
        if (inner[i].required_key) {
            set(obj, inner[i].required_key, json_boolean(f->required));
        }
    }
    return obj;
}

static json_t *fields_json(const struct ice_field *fields, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct ice_field *f = &fields[i];
        json_t *obj = json_object();
        set(obj, "id", json_integer(f->id));
        set(obj, "name", json_new_str(f->name));
        set(obj, "required", json_boolean(f->required));
        set(obj, "type", type_json(&f->type));
        if (f->doc.len) {
            set(obj, "doc", json_new_str(f->doc));
        }
        append(array, obj);
    }
    return array;
}

json_t *ice_schema_json(const struct ice_schema *s) {
    json_t *obj = json_object();
    set(obj, "type", json_string("struct"));
    set(obj, "schema-id", json_integer(s->schema_id));
    if (s->identifier_count) {
        json_t *ids = json_array();
        for (size_t i = 0; i < s->identifier_count; i++) {
            append(ids, json_integer(s->identifier_ids[i]));
        }
        set(obj, "identifier-field-ids", ids);
    }
    set(obj, "fields", fields_json(s->fields, s->field_count));
    return obj;
}

static void add_type_text(struct buf *out, const struct ice_type *t, struct arena *a) {
    if (t->kind == ICE_STRUCT) {
        buf_add_cstr(out, "struct<");
    } else if (t->kind == ICE_LIST || t->kind == ICE_MAP) {
        buf_add_cstr(out, t->kind == ICE_MAP ? "map<" : "list<");
    } else {
        buf_add_str(out, primitive_text(t, a));
        return;
    }
    for (size_t i = 0; i < t->field_count; i++) {
        buf_add_cstr(out, i ? ", " : "");
        if (t->kind == ICE_STRUCT) {
            buf_add_str(out, t->fields[i].name);
            buf_add_cstr(out, ": ");
        }
        add_type_text(out, &t->fields[i].type, a);
    }
    buf_add_char(out, '>');
}

struct str ice_type_text(const struct ice_type *t, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(16 << 20);
    add_type_text(&out, t, a);
    return arena_str(a, buf_str(&out));
}

static void add_canonical(struct buf *out, const struct ice_type *t, struct arena *a) {
    if (t->kind == ICE_STRUCT) {
        buf_add_cstr(out, "struct<");
    } else if (t->kind == ICE_LIST || t->kind == ICE_MAP) {
        buf_add_cstr(out, t->kind == ICE_MAP ? "map<" : "list<");
    } else {
        buf_add_str(out, primitive_text(t, a));
        return;
    }
    for (size_t i = 0; i < t->field_count; i++) {
        buf_add_cstr(out, i ? "," : "");
        if (t->kind == ICE_STRUCT) {
            json_quote(out, t->fields[i].name);
            buf_add_char(out, ':');
        }
        add_canonical(out, &t->fields[i].type, a);
        buf_add_cstr(out, t->fields[i].required ? "!" : "");
    }
    buf_add_char(out, '>');
}

struct str ice_schema_fingerprint(const struct ice_schema *s, struct arena *a) {
    struct ice_type top = {.kind = ICE_STRUCT, .fields = s->fields, .field_count = s->field_count};
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    add_canonical(&out, &top, a);
    CHECK(!out.overflow);
    return hex_sha256(sha256(buf_str(&out)), a);
}

// All fields of one level first, then what is inside them: the order in which Iceberg's own
// library gives ids.
static void assign_ids(struct ice_field *fields, size_t count, int32_t *last) {
    for (size_t i = 0; i < count; i++) {
        if (fields[i].id == 0) {
            fields[i].id = ++*last;
        }
    }
    for (size_t i = 0; i < count; i++) {
        assign_ids(fields[i].type.fields, fields[i].type.field_count, last);
    }
}

void ice_schema_assign_ids(struct ice_schema *s, int32_t *last_column_id) {
    assign_ids(s->fields, s->field_count, last_column_id);
}

static int32_t highest_id(const struct ice_field *fields, size_t count) {
    int32_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t inner = highest_id(fields[i].type.fields, fields[i].type.field_count);
        highest = MAX(highest, MAX(fields[i].id, inner));
    }
    return highest;
}

int32_t ice_schema_highest_id(const struct ice_schema *s) {
    return highest_id(s->fields, s->field_count);
}

const struct ice_field *ice_schema_find(const struct ice_schema *s, struct str name) {
    for (size_t i = 0; i < s->field_count; i++) {
        if (str_eq(s->fields[i].name, name)) {
            return &s->fields[i];
        }
    }
    for (size_t i = 0; i < s->field_count; i++) {
        if (str_eq_nocase(s->fields[i].name, name)) {
            return &s->fields[i];
        }
    }
    return NULL;
}

static const struct ice_field *find_id(const struct ice_field *fields, size_t count, int32_t id) {
    for (size_t i = 0; i < count; i++) {
        if (fields[i].id == id) {
            return &fields[i];
        }
        const struct ice_field *inner =
            find_id(fields[i].type.fields, fields[i].type.field_count, id);
        if (inner) {
            return inner;
        }
    }
    return NULL;
}

const struct ice_field *ice_schema_find_id(const struct ice_schema *s, int32_t id) {
    return find_id(s->fields, s->field_count, id);
}

static struct ice_field *copy_fields(const struct ice_field *fields, size_t count,
                                     struct arena *a) {
    struct ice_field *copy = arena_array(a, count, sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = fields[i];
        copy[i].name = arena_str(a, fields[i].name);
        copy[i].doc = arena_str(a, fields[i].doc);
        copy[i].type.fields = copy_fields(fields[i].type.fields, fields[i].type.field_count, a);
    }
    return copy;
}

struct ice_schema *ice_schema_copy(const struct ice_schema *s, struct arena *a) {
    struct ice_schema *copy = arena_alloc(a, sizeof(*copy));
    *copy = *s;
    copy->fields = copy_fields(s->fields, s->field_count, a);
    copy->identifier_ids = arena_array(a, s->identifier_count, sizeof(*copy->identifier_ids));
    for (size_t i = 0; i < s->identifier_count; i++) {
        copy->identifier_ids[i] = s->identifier_ids[i];
    }
    return copy;
}

static bool types_eq(const struct ice_type *a, const struct ice_type *b, bool with_ids);

static bool fields_eq(const struct ice_field *a, const struct ice_field *b, size_t count,
                      bool with_ids) {
    for (size_t i = 0; i < count; i++) {
        if ((with_ids && a[i].id != b[i].id) || a[i].required != b[i].required ||
            !str_eq(a[i].name, b[i].name) || !types_eq(&a[i].type, &b[i].type, with_ids)) {
            return false;
        }
    }
    return true;
}

static bool types_eq(const struct ice_type *a, const struct ice_type *b, bool with_ids) {
    if (a->kind != b->kind || a->field_count != b->field_count) {
        return false;
    }
    if (a->kind == ICE_DECIMAL && (a->precision != b->precision || a->scale != b->scale)) {
        return false;
    }
    if (a->kind == ICE_FIXED && a->length != b->length) {
        return false;
    }
    return fields_eq(a->fields, b->fields, a->field_count, with_ids);
}

bool ice_type_eq(const struct ice_type *a, const struct ice_type *b) {
    return types_eq(a, b, false);
}

bool ice_schema_eq(const struct ice_schema *a, const struct ice_schema *b) {
    return a->field_count == b->field_count &&
           fields_eq(a->fields, b->fields, a->field_count, true);
}

bool ice_type_widens(const struct ice_type *from, const struct ice_type *to) {
    if (from->kind == ICE_STRUCT || from->kind == ICE_LIST || from->kind == ICE_MAP) {
        return false;
    }
    if (from->kind == ICE_DECIMAL && to->kind == ICE_DECIMAL) {
        return from->scale == to->scale && from->precision <= to->precision;
    }
    return (from->kind == ICE_INT && to->kind == ICE_LONG) ||
           (from->kind == ICE_FLOAT && to->kind == ICE_DOUBLE) || types_eq(from, to, false);
}

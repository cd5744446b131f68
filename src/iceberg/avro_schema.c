// Avro schemas: from their JSON to the tree that decoding follows.
//
// Source: Apache Avro 1.11 specification, "Schema Declaration" and "Names". Aliases, defaults and
// orders mean nothing for reading a file with its own schema and are passed over.
#include "iceberg/avro_int.h"

static const struct {
    const char *name;
    enum avro_type type;
} primitives[] = {
    {"null", AVRO_T_NULL},     {"boolean", AVRO_T_BOOLEAN}, {"int", AVRO_T_INT},
    {"long", AVRO_T_LONG},     {"float", AVRO_T_FLOAT},     {"double", AVRO_T_DOUBLE},
    {"bytes", AVRO_T_BYTES},   {"string", AVRO_T_STRING},   {"fixed", AVRO_T_FIXED},
    {"enum", AVRO_T_ENUM},     {"array", AVRO_T_ARRAY},     {"map", AVRO_T_MAP},
    {"record", AVRO_T_RECORD}, {"error", AVRO_T_RECORD},
};

struct parser {
    struct arena *a;
    struct str what;
    struct err *err;
    struct avro_schema **named;
    size_t named_count, named_cap;
};

static enum err_code bad(struct parser *p, const char *why) {
    return err_set(p->err, ERR_CORRUPT, STR_FMT ": Avro schema: %s", STR_ARG(p->what), why);
}

static enum err_code parse(struct parser *p, const json_t *json, struct str space, int depth,
                           const struct avro_schema **ret);

// A name with a dot is full already; else the name space that surrounds it goes in front.
static struct str full_name(struct parser *p, struct str name, struct str space) {
    if (!space.len || str_find_char(name, '.') >= 0) {
        return arena_str(p->a, name);
    }
    return arena_printf(p->a, STR_FMT "." STR_FMT, STR_ARG(space), STR_ARG(name));
}

static const struct avro_schema *find_named(const struct parser *p, struct str full) {
    for (size_t i = 0; i < p->named_count; i++) {
        if (str_eq(p->named[i]->name, full)) {
            return p->named[i];
        }
    }
    return NULL;
}

static enum err_code add_named(struct parser *p, const json_t *json, struct str *space,
                               struct avro_schema *s) {
    struct str name = STR_NONE;
    if (!json_get_str(json, "name", &name) || !name.len) {
        return bad(p, "a named type without a name");
    }
    struct str own_space = *space;
    (void)json_get_str(json, "namespace", &own_space);
    s->name = full_name(p, name, own_space);
    size_t dot = s->name.len;
    while (dot > 0 && s->name.ptr[dot - 1] != '.') {
        dot--;
    }
    *space = str_slice(s->name, 0, dot ? dot - 1 : 0);
    if (find_named(p, s->name)) {
        return bad(p, "a name stands twice");
    }
    p->named =
        arena_grow(p->a, p->named, &p->named_cap, p->named_count + 1, sizeof(struct avro_schema *));
    p->named[p->named_count++] = s;
    return ERR_OK;
}

static int32_t id_attribute(const json_t *json, const char *key) {
    int64_t id = -1;
    if (!json_get_i64(json, key, &id) || id < 0 || id > INT32_MAX) {
        return -1;
    }
    return (int32_t)id;
}

static enum err_code parse_record(struct parser *p, const json_t *json, struct str space, int depth,
                                  struct avro_schema *s) {
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields)) {
        return bad(p, "a record without a list of fields");
    }
    s->field_count = json_array_size(fields);
    s->fields = arena_array(p->a, s->field_count, sizeof(*s->fields));
    for (size_t i = 0; i < s->field_count; i++) {
        const json_t *field = json_array_get(fields, i);
        s->fields[i].id = id_attribute(field, "field-id");
        TRY(parse(p, json_object_get(field, "type"), space, depth, &s->fields[i].schema));
    }
    return ERR_OK;
}

static enum err_code parse_array(struct parser *p, const json_t *json, struct str space, int depth,
                                 struct avro_schema *s) {
    s->field_count = 1;
    s->fields = arena_array(p->a, 1, sizeof(*s->fields));
    s->fields[0].id = id_attribute(json, "element-id");
    return parse(p, json_object_get(json, "items"), space, depth, &s->fields[0].schema);
}

static enum err_code parse_map(struct parser *p, const json_t *json, struct str space, int depth,
                               struct avro_schema *s) {
    struct avro_schema *key = arena_alloc(p->a, sizeof(*key));
    key->type = AVRO_T_STRING;
    struct avro_schema *pair = arena_alloc(p->a, sizeof(*pair));
    pair->type = AVRO_T_RECORD;
    pair->field_count = 2;
    pair->fields = arena_array(p->a, 2, sizeof(*pair->fields));
    pair->fields[0] = (struct avro_field){id_attribute(json, "key-id"), key};
    pair->fields[1].id = id_attribute(json, "value-id");
    s->field_count = 1;
    s->fields = arena_array(p->a, 1, sizeof(*s->fields));
    s->fields[0] = (struct avro_field){-1, pair};
    return parse(p, json_object_get(json, "values"), space, depth, &pair->fields[1].schema);
}

static enum err_code parse_fixed(struct parser *p, const json_t *json, struct avro_schema *s) {
    if (!json_get_i64(json, "size", &s->fixed_bytes) || s->fixed_bytes < 0) {
        return bad(p, "a fixed without a size");
    }
    return ERR_OK;
}

static enum err_code parse_enum(struct parser *p, const json_t *json, struct avro_schema *s) {
    const json_t *symbols = json_object_get(json, "symbols");
    if (!json_is_array(symbols)) {
        return bad(p, "an enum without symbols");
    }
    s->symbol_count = json_array_size(symbols);
    s->symbols = arena_array(p->a, s->symbol_count, sizeof(*s->symbols));
    for (size_t i = 0; i < s->symbol_count; i++) {
        const json_t *symbol = json_array_get(symbols, i);
        if (!json_is_string(symbol)) {
            return bad(p, "an enum's symbol is not a string");
        }
        s->symbols[i] =
            arena_str(p->a, (struct str){json_string_value(symbol), json_string_length(symbol)});
    }
    return ERR_OK;
}

static enum err_code parse_union(struct parser *p, const json_t *json, struct str space, int depth,
                                 const struct avro_schema **ret) {
    struct avro_schema *s = arena_alloc(p->a, sizeof(*s));
    s->type = AVRO_T_UNION;
    s->field_count = json_array_size(json);
    s->fields = arena_array(p->a, s->field_count, sizeof(*s->fields));
    for (size_t i = 0; i < s->field_count; i++) {
        s->fields[i].id = -1;
        TRY(parse(p, json_array_get(json, i), space, depth, &s->fields[i].schema));
    }
    *ret = s;
    return ERR_OK;
}

static bool primitive_type(struct str word, enum avro_type *ret) {
    for (size_t i = 0; i < ARRAY_LEN(primitives); i++) {
        if (str_is(word, primitives[i].name)) {
            *ret = primitives[i].type;
            return true;
        }
    }
    return false;
}

// A word by itself: a primitive type, or the name of a type that was defined before.
static enum err_code parse_word(struct parser *p, struct str word, struct str space,
                                const struct avro_schema **ret) {
    enum avro_type type = AVRO_T_NULL;
    if (primitive_type(word, &type)) {
        if (type > AVRO_T_STRING) {
            return bad(p, "a type without its attributes");
        }
        struct avro_schema *s = arena_alloc(p->a, sizeof(*s));
        s->type = type;
        *ret = s;
        return ERR_OK;
    }
    const struct avro_schema *s = find_named(p, full_name(p, word, space));
    if (!s) {
        s = find_named(p, word);
    }
    if (!s) {
        return bad(p, "an unknown type");
    }
    *ret = s;
    return ERR_OK;
}

static enum err_code parse_object(struct parser *p, const json_t *json, struct str space, int depth,
                                  const struct avro_schema **ret) {
    const json_t *inner = json_object_get(json, "type");
    struct str word = STR_NONE;
    if (!json_get_str(json, "type", &word)) {
        return parse(p, inner, space, depth, ret);
    }
    enum avro_type type = AVRO_T_NULL;
    if (!primitive_type(word, &type)) {
        return parse_word(p, word, space, ret);
    }
    struct avro_schema *s = arena_alloc(p->a, sizeof(*s));
    s->type = type;
    struct str logical = STR_NONE;
    if (json_get_str(json, "logicalType", &logical)) {
        s->logical = arena_str(p->a, logical);
    }
    if (type == AVRO_T_RECORD || type == AVRO_T_ENUM || type == AVRO_T_FIXED) {
        TRY(add_named(p, json, &space, s));
    }
    *ret = s;
    switch (type) {
    case AVRO_T_RECORD:
        return parse_record(p, json, space, depth, s);
    case AVRO_T_ENUM:
        return parse_enum(p, json, s);
    case AVRO_T_FIXED:
        return parse_fixed(p, json, s);
    case AVRO_T_ARRAY:
        return parse_array(p, json, space, depth, s);
    case AVRO_T_MAP:
        return parse_map(p, json, space, depth, s);
    default:
        return ERR_OK;
    }
}

static enum err_code parse(struct parser *p, const json_t *json, struct str space, int depth,
                           const struct avro_schema **ret) {
    if (depth > AVRO_DEPTH_MAX) {
        return bad(p, "nested too deeply");
    }
    if (json_is_string(json)) {
        struct str word = {json_string_value(json), json_string_length(json)};
        return parse_word(p, word, space, ret);
    }
    if (json_is_array(json)) {
        return parse_union(p, json, space, depth + 1, ret);
    }
    if (json_is_object(json)) {
        return parse_object(p, json, space, depth + 1, ret);
    }
    return bad(p, "not a type");
}

enum err_code avro_schema_parse(struct str text, struct str what, struct arena *a,
                                const struct avro_schema **ret, struct err *err) {
    DEFER(json_decrefp) json_t *json = NULL;
    TRY(json_parse_stored(text, arena_cstr(a, what), &json, err));
    struct parser p = {.a = a, .what = what, .err = err};
    return parse(&p, json, STR_NONE, 0, ret);
}

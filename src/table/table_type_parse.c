// Types: from what people write to Iceberg's.

#include "table/table_types.h"

#define LISTS_MAX 8

static const struct {
    const char *name;
    enum ice_kind kind;
} names[] = {
    {"BOOLEAN", ICE_BOOLEAN},
    {"BOOL", ICE_BOOLEAN},
    {"LOGICAL", ICE_BOOLEAN},
    {"TINYINT", ICE_INT},
    {"SMALLINT", ICE_INT},
    {"INTEGER", ICE_INT},
    {"INT", ICE_INT},
    {"INT2", ICE_INT},
    {"INT4", ICE_INT},
    {"BIGINT", ICE_LONG},
    {"LONG", ICE_LONG},
    {"INT8", ICE_LONG},
    {"FLOAT", ICE_FLOAT},
    {"REAL", ICE_FLOAT},
    {"FLOAT4", ICE_FLOAT},
    {"DOUBLE", ICE_DOUBLE},
    {"DOUBLE PRECISION", ICE_DOUBLE},
    {"FLOAT8", ICE_DOUBLE},
    {"DATE", ICE_DATE},
    {"TIME", ICE_TIME},
    {"TIMESTAMP", ICE_TIMESTAMP},
    {"DATETIME", ICE_TIMESTAMP},
    {"TIMESTAMPTZ", ICE_TIMESTAMPTZ},
    {"TIMESTAMP WITH TIME ZONE", ICE_TIMESTAMPTZ},
    {"VARCHAR", ICE_STRING},
    {"TEXT", ICE_STRING},
    {"STRING", ICE_STRING},
    {"UUID", ICE_UUID},
    {"BLOB", ICE_BINARY},
    {"BYTEA", ICE_BINARY},
    {"BINARY", ICE_BINARY},
};

// Upper case, single spaces, none beside brackets and commas.
static struct str normal(struct str text, struct arena *a) {
    char *out = arena_alloc(a, text.len + 1);
    size_t len = 0;
    bool space = false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (strchr(" \t\n\r", c) != NULL) {
            space = len > 0;
            continue;
        }
        const bool sign = strchr("(),[]", c) != NULL;
        if (space && !sign && strchr("(),[]", out[len - 1]) == NULL) {
            out[len++] = ' ';
        }
        space = false;
        out[len++] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return (struct str){out, len};
}

// DECIMAL, DECIMAL(p), DECIMAL(p,s)
static bool parse_decimal(struct str text, struct ice_type *ret) {
    struct str rest = text;
    struct str head = STR_NONE;
    struct str number = STR_NONE;
    int64_t precision = 18;
    int64_t scale = 3;
    (void)str_cut(&rest, '(', &head);
    if (!str_is(head, "DECIMAL") && !str_is(head, "NUMERIC") && !str_is(head, "DEC")) {
        return false;
    }
    if (head.len < text.len) {
        if (!str_ends(rest, STR(")"))) {
            return false;
        }
        rest = str_slice(rest, 0, rest.len - 1);
        scale = 0;
        if (!str_cut(&rest, ',', &number) || !str_to_i64(number, &precision) ||
            (rest.len > 0 && !str_to_i64(rest, &scale))) {
            return false;
        }
    }
    *ret = (struct ice_type){
        .kind = ICE_DECIMAL, .precision = (int32_t)precision, .scale = (int32_t)scale};
    return precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision;
}

static bool parse_scalar(struct str text, struct ice_type *ret) {
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_is(text, names[i].name)) {
            *ret = (struct ice_type){.kind = names[i].kind};
            return true;
        }
    }
    return parse_decimal(text, ret);
}

enum err_code table_type_parse(struct str text, struct arena *a, struct ice_type *ret,
                               struct err *err) {
    struct str rest = normal(text, a);
    size_t lists = 0;
    while (str_ends(rest, STR("[]")) && lists <= LISTS_MAX) {
        rest = str_slice(rest, 0, rest.len - 2);
        lists++;
    }
    struct ice_type type;
    if (lists > LISTS_MAX || !parse_scalar(rest, &type)) {
        return err_set(err, ERR_INVALID,
                       "\"" STR_FMT "\" is no type of a column: there are BOOLEAN, INTEGER, "
                       "BIGINT, FLOAT, DOUBLE, DECIMAL(p,s), DATE, TIME, TIMESTAMP, TIMESTAMPTZ, "
                       "VARCHAR, UUID, BLOB, and lists such as BIGINT[]",
                       STR_ARG(str_slice(text, 0, 60)));
    }
    for (size_t i = 0; i < lists; i++) {
        struct ice_field *element = arena_alloc(a, sizeof(*element));
        *element = (struct ice_field){.name = STR("element"), .type = type};
        type = (struct ice_type){.kind = ICE_LIST, .fields = element, .field_count = 1};
    }
    *ret = type;
    return ERR_OK;
}

// The scan of JSON: all strings and names of members, unescaped.
//
// A short value, and a number that is an integer key, count only under a member with the name of a
// key column, or as a "value" of a list that says "column": that of tombstones is one.

#include "erase/erase_scan_int.h"

struct walk {
    const struct scanner *scanner;
    int64_t found;
};

// key: what is below stands for a key column; list: so does each "value" that is below.
static void walk_value(struct walk *w, const json_t *value, bool key, bool list);

static void walk_object(struct walk *w, const json_t *object, bool key, bool list) {
    const struct scanner *s = w->scanner;
    const char *name;
    const json_t *member;
    const char *column = json_string_value(json_object_get(object, "column"));
    const bool lists = list || (column != NULL && scan_is_key(s, str_from(column)));
    json_object_foreach((json_t *)(uintptr_t)object, name, member) {
        const struct str text = str_from(name);
        const bool value = lists && (str_is(text, "value") || str_is(text, "values"));
        w->found += erase_match_text(s->matcher, text);
        walk_value(w, member, key || value || scan_is_key(s, text), lists);
    }
}

static void walk_value(struct walk *w, const json_t *value, bool key, bool list) {
    const struct scanner *s = w->scanner;
    const json_t *item;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        walk_object(w, value, key, list);
        return;
    case JSON_ARRAY:
        json_array_foreach(value, i, item) {
            walk_value(w, item, key, list);
        }
        return;
    case JSON_STRING:
        w->found +=
            scan_text(s, (struct str){json_string_value(value), json_string_length(value)}, key);
        return;
    case JSON_INTEGER:
        w->found += key && erase_match_integer(s->matcher, json_integer_value(value)) ? 1 : 0;
        return;
    default:
        return;
    }
}

enum err_code scan_json(struct scanner *s, struct str object, struct str data, int64_t *ret_count,
                        struct err *err) {
    DEFER(json_decrefp) json_t *j = NULL;
    struct walk w = {.scanner = s};
    TRY(json_parse_stored(data, "the object", &j, err));
    walk_value(&w, j, false, false);
    scan_found(s, object, "text", w.found);
    *ret_count = w.found;
    return ERR_OK;
}

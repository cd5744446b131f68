// Guard, names: which table names are common table expressions, and placeholders for all others.
#include "guard/guard_int.h"

#include "base/clock.h"

static const struct guard_cte *find_cte(const struct guard_walk *w, struct str name) {
    for (const struct guard_cte *c = w->ctes; c; c = c->outer) {
        if (str_eq_nocase(c->name, name)) {
            return c;
        }
    }
    return NULL;
}

static void push_cte(struct guard_walk *w, struct str name, bool keyed) {
    struct guard_cte *c = arena_alloc(w->arena, sizeof(*c));
    *c = (struct guard_cte){.outer = w->ctes, .name = name, .keyed = keyed};
    w->ctes = c;
}

static bool has_any(struct str s, const char *chars) {
    for (size_t i = 0; i < s.len; i++) {
        if (strchr(chars, s.ptr[i])) {
            return true;
        }
    }
    return false;
}

// Names under which the engine has tables of its own.
static bool is_reserved(struct str name) {
    static const char *const prefixes[] = {"duckdb_", "pg_", "sqlite_", "pragma_"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        const struct str prefix = str_from(prefixes[i]);
        if (str_eq_nocase(str_slice(name, 0, prefix.len), prefix)) {
            return true;
        }
    }
    return false;
}

// The engine takes a table name that it does not know for a file's, an address or a pattern. No
// name of that kind is let through, not even for a CTE.
static enum err_code check_name(struct guard_walk *w, struct str name) {
    if (name.len == 0) {
        return guard_refuse(w, "a table name is empty");
    }
    if (has_any(name, "/\\:*?[].%{}~<>|;'\"`$\n\r\t")) {
        return guard_refuse(w,
                            "\"" STR_FMT "\" is no table name: tables go by their dataset's name, "
                            "files cannot be read",
                            STR_ARG(str_slice(name, 0, 100)));
    }
    if (is_reserved(name)) {
        return guard_refuse(w, "\"" STR_FMT "\" is a table of the engine: not available here",
                            STR_ARG(str_slice(name, 0, 100)));
    }
    return ERR_OK;
}

static enum err_code enter_cte(struct guard_walk *w, struct ast *entry) {
    const struct str name = ast_text(entry, "key");
    struct ast *value = ast_get(entry, "value");
    struct ast *query = ast_get(ast_get(value, "query"), "node");
    TRY(check_name(w, name));
    if (!query || entry->count != 2) {
        return guard_refuse(w, "a WITH that is not known here");
    }
    TRY(guard_walk_cte(w, value));
    if (!ast_is(query, "type", "RECURSIVE_CTE_NODE")) {
        // A query does not see its own name.
        TRY(guard_walk_statement(w, ast_get(value, "query")));
        push_cte(w, name, false);
        return ERR_OK;
    }
    if (!str_eq(ast_text(query, "cte_name"), name)) {
        return guard_refuse(w, "a recursive WITH under two names");
    }
    const struct guard_cte *outer = w->ctes;
    TRY(guard_walk_recursive(w, query));
    TRY(guard_walk_query(w, ast_get(query, "left")));
    push_cte(w, name, !ast_empty(ast_get(query, "key_targets")));
    TRY(guard_walk_query(w, ast_get(query, "right")));
    w->ctes = outer;
    push_cte(w, name, false);
    return ERR_OK;
}

enum err_code guard_scope_enter(struct guard_walk *w, struct ast *cte_map) {
    struct ast *map = ast_get(cte_map, "map");
    if (!map || map->kind != AST_ARRAY || cte_map->count != 1) {
        return guard_refuse(w, "a WITH that is not known here");
    }
    for (struct ast *i = map->items; i; i = i->next) {
        TRY(enter_cte(w, i));
    }
    return ERR_OK;
}

// A string literal, or a cast of one to a date or timestamp.
static bool constant_text(const struct ast *expr, struct str *ret) {
    const struct ast *constant = expr;
    if (ast_is(expr, "class", "CAST")) {
        const struct str type = ast_text(ast_get(expr, "cast_type"), "id");
        if (!str_is(type, "DATE") && !str_is(type, "TIMESTAMP") &&
            !str_is(type, "TIMESTAMP WITH TIME ZONE")) {
            return false;
        }
        constant = ast_get(expr, "child");
    }
    const struct ast *value = ast_get(constant, "value");
    if (!ast_is(constant, "class", "CONSTANT") ||
        !ast_is(ast_get(value, "type"), "id", "VARCHAR")) {
        return false;
    }
    *ret = ast_text(value, "value");
    return true;
}

static enum err_code take_at(struct guard_walk *w, struct ast *at, struct guard_table *t) {
    if (at->kind == AST_NULL) {
        return ERR_OK;
    }
    const struct ast *expr = ast_get(at, "expr");
    const struct ast *value = ast_get(expr, "value");
    if (ast_is(at, "unit", "VERSION")) {
        const struct str type = ast_text(ast_get(value, "type"), "id");
        const bool integer = str_is(type, "INTEGER") || str_is(type, "BIGINT");
        if (!ast_is(expr, "class", "CONSTANT") || !integer ||
            !str_to_i64(ast_text(value, "value"), &t->version) || t->version < 0) {
            return guard_refuse(w, "AT (VERSION => n) takes a snapshot id or sequence number");
        }
        t->at = GUARD_AT_VERSION;
    } else if (ast_is(at, "unit", "TIMESTAMP")) {
        struct str text = STR_NONE;
        if (!constant_text(expr, &text) || !clock_parse(str_trim(text), &t->timestamp_us)) {
            return guard_refuse(w, "AT (TIMESTAMP => '...') takes a constant date or time, such as "
                                   "'2026-01-31 12:00:00' (UTC)");
        }
        t->at = GUARD_AT_TIMESTAMP;
    } else {
        return guard_refuse(w, "AT takes VERSION or TIMESTAMP");
    }
    ast_set_null(at);
    return ERR_OK;
}

static enum err_code add_mention(struct guard_walk *w, struct ast *n, struct guard_table table) {
    w->mentions = arena_grow(w->arena, w->mentions, &w->mention_cap, w->mention_count + 1,
                             sizeof(*w->mentions));
    struct guard_mention *m = &w->mentions[w->mention_count];
    struct ast *alias = ast_get(n, "alias");
    *m = (struct guard_mention){
        .node = n, .aliased = alias->text.len > 0, .written = table.name, .table = table};
    if (!m->aliased) {
        ast_set_text(alias, table.name);
    }
    if (table.system == GUARD_NOT_SYSTEM && guard_is_raw(table.name)) {
        m->table.raw = true;
        m->table.name = str_slice(table.name, STR(GUARD_RAW).len, table.name.len);
    }
    ast_set_text(ast_get(n, "schema_name"), STR_NONE);
    ast_set_text(ast_get(n, "table_name"),
                 arena_printf(w->arena, STR_FMT "%zux", STR_ARG(w->token), w->mention_count));
    w->mention_count++;
    return ERR_OK;
}

bool guard_is_raw(struct str name) {
    const struct str prefix = STR(GUARD_RAW);
    return name.len > prefix.len && str_eq_nocase(str_slice(name, 0, prefix.len), prefix);
}

// The server's own tables: "system.files".
static enum err_code system_table(struct guard_walk *w, struct ast *n, struct str name) {
    static const struct {
        const char *name;
        enum guard_system table;
    } tables[] = {{"snapshots", GUARD_SNAPSHOTS},   {"files", GUARD_FILES},
                  {"queries", GUARD_QUERIES},       {"journal", GUARD_JOURNAL},
                  {"tombstones", GUARD_TOMBSTONES}, {"tables", GUARD_TABLES}};
    if (ast_get(n, "at_clause")->kind != AST_NULL) {
        return guard_refuse(w, "AT is for datasets only");
    }
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        if (str_eq_nocase(name, str_from(tables[i].name))) {
            const struct guard_table table = {.name = str_from(tables[i].name),
                                              .position = w->position,
                                              .system = tables[i].table};
            return add_mention(w, n, table);
        }
    }
    return guard_refuse(w,
                        "there is no table system." STR_FMT " (there are system.tables, "
                        "system.snapshots, system.files, system.queries, system.journal and "
                        "system.tombstones)",
                        STR_ARG(str_slice(name, 0, 100)));
}

enum err_code guard_scope_table(struct guard_walk *w, struct ast *n) {
    const struct str catalog = ast_text(n, "catalog_name");
    const struct str schema = ast_text(n, "schema_name");
    const struct str name = ast_text(n, "table_name");
    struct ast *at = ast_get(n, "at_clause");
    if (!at || !ast_get(n, "alias") || !ast_get(n, "schema_name") || !ast_get(n, "table_name")) {
        return guard_refuse(w, "a table that is not known here");
    }
    TRY(check_name(w, name));
    const struct guard_cte *cte = find_cte(w, name);
    if (cte && cte->keyed && catalog.len == 0 && str_eq_nocase(schema, STR("recurring"))) {
        return at->kind == AST_NULL ? ERR_OK : guard_refuse(w, "AT is for tables only");
    }
    if (catalog.len == 0 && str_eq_nocase(schema, STR("system"))) {
        return system_table(w, n, name);
    }
    if (catalog.len > 0 || (schema.len > 0 && !str_eq_nocase(schema, STR("main")))) {
        return guard_refuse(w, "names have no schema here: write \"" STR_FMT "\" alone",
                            STR_ARG(str_slice(name, 0, 100)));
    }
    if (cte && schema.len == 0) {
        return at->kind == AST_NULL ? ERR_OK : guard_refuse(w, "AT is for tables only");
    }
    struct guard_table table = {.name = name, .position = w->position};
    TRY(take_at(w, at, &table));
    return add_mention(w, n, table);
}

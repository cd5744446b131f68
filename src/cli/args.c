// Arguments: from argv to words and options, with a word of advice for what is misspelt.
#include "cli/args.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"

enum { DISTANCE_LETTERS_MAX = 40 };

static const struct args_option client_options[] = {
    {"url", 0, false, "URL", "The server. Default: TARN_URL, else http://127.0.0.1:8787."},
    {"data", 0, false, "DIR", "Folder whose admin.token is used. Default: ./tarn-data."},
    {"token-file", 0, false, "FILE", "File with the token. Default: TARN_TOKEN, else --data."},
    {"cacert", 0, false, "FILE", "PEM file of the authority that signed the server's key."},
    {NULL, 0, false, NULL, NULL},
};

static const struct args_option config_file_option = {
    "config", 0, false, "FILE", "Configuration file. Default: TARN_CONFIG, else none."};

static const struct args_option help_option = {"help", 'h', false, NULL, "Show this help."};

static size_t options_count(const struct args_option *options) {
    size_t count = 0;
    while (options && options[count].name) {
        count++;
    }
    return count;
}

static const char *config_value(const struct config_option *o) {
    static const struct {
        const char *type_or_flag, *value;
    } values[] = {{"--data", "DIR"},           {"--demo-data", "DIR"},
                  {"--listen", "ADDRESS"},     {"--log-level", "LEVEL"},
                  {"--http-tls-cert", "FILE"}, {"--http-tls-key", "FILE"},
                  {"flag", "true|false"},      {"count", "N"},
                  {"size", "BYTES"},           {"time_ms", "TIME"}};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        const char *key = values[i].type_or_flag;
        if (strcmp(o->flag, key) == 0 || strcmp(o->type, key) == 0) {
            return values[i].value;
        }
    }
    return "TEXT";
}

// Row index of the configuration's table as an option; row 0 is --config.
static bool config_option_at(size_t index, struct args_option *ret) {
    size_t count = 0;
    const struct config_option *rows = config_options(&count);
    if (index > count) {
        return false;
    }
    if (index == 0) {
        *ret = config_file_option;
        return true;
    }
    const struct config_option *o = &rows[index - 1];
    *ret = (struct args_option){.name = o->flag + 2,
                                .maybe = strcmp(o->type, "flag") == 0,
                                .value = config_value(o),
                                .help = o->help};
    return true;
}

bool args_option_at(const struct command *c, size_t index, struct args_option *ret) {
    const size_t own = options_count(c->options);
    if (index < own) {
        *ret = c->options[index];
        return true;
    }
    index -= own;
    if (c->flags & COMMAND_CLIENT) {
        const size_t shared = options_count(client_options);
        if (index < shared) {
            *ret = client_options[index];
            return true;
        }
        index -= shared;
    }
    if (c->flags & COMMAND_CONFIG) {
        if (config_option_at(index, ret)) {
            return true;
        }
        size_t count = 0;
        (void)config_options(&count);
        index -= count + 1;
    }
    *ret = help_option;
    return index == 0;
}

static bool is_config_option(const struct command *c, const char *name) {
    struct args_option o = {0};
    if (!(c->flags & COMMAND_CONFIG)) {
        return false;
    }
    for (size_t i = 0; config_option_at(i, &o); i++) {
        if (strcmp(o.name, name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t min3(size_t a, size_t b, size_t c) {
    return MIN(MIN(a, b), c);
}

size_t args_distance(const char *from, const char *to) {
    size_t rows[3][DISTANCE_LETTERS_MAX + 1];
    const size_t from_len = MIN(strlen(from), DISTANCE_LETTERS_MAX);
    const size_t to_len = MIN(strlen(to), DISTANCE_LETTERS_MAX);
    for (size_t j = 0; j <= to_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= from_len; i++) {
        const size_t *before = rows[(i - 1) % 3];
        const size_t *before_that = rows[(i + 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= to_len; j++) {
            const size_t change = before[j - 1] + (from[i - 1] != to[j - 1]);
            row[j] = min3(before[j] + 1, row[j - 1] + 1, change);
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
                row[j] = MIN(row[j], before_that[j - 2] + 1);
            }
        }
    }
    return rows[from_len % 3][to_len];
}

// The best word so far; a word that needs more than a third of its letters changed is not near.
struct nearest {
    const char *word, *best;
    size_t distance;
};

static struct nearest nearest_to(const char *word) {
    return (struct nearest){word, NULL, 1 + MAX(1, strlen(word) / 3)};
}

static void nearest_try(struct nearest *n, const char *candidate) {
    const size_t distance = args_distance(n->word, candidate);
    if (distance < n->distance) {
        n->distance = distance;
        n->best = candidate;
    }
}

const char *args_command_nearest(const struct command *commands, const char *word) {
    struct nearest n = nearest_to(word);
    for (const struct command *c = commands; c->name; c++) {
        nearest_try(&n, c->name);
        const char *space = strchr(c->name, ' ');
        if (space) {
            nearest_try(&n, space + 1);
        }
    }
    // "token" is near to "tokn" although no command is called so.
    if (n.best == NULL) {
        for (const struct command *c = commands; c->name; c++) {
            const size_t len = strcspn(c->name, " ");
            char group[DISTANCE_LETTERS_MAX + 1];
            snprintf(group, sizeof(group), "%.*s", (int)len, c->name);
            if (c->name[len] == ' ' && args_distance(word, group) < n.distance) {
                return c->name;
            }
        }
    }
    return n.best;
}

const struct command *args_command_find(const struct command *commands, size_t count,
                                        const char *const *words, size_t *ret_words) {
    for (const struct command *c = commands; c->name && count > 0; c++) {
        const size_t len = strcspn(c->name, " ");
        const bool first = strlen(words[0]) == len && strncmp(words[0], c->name, len) == 0;
        const bool two = c->name[len] == ' ';
        if (!first || (two && (count < 2 || strcmp(words[1], c->name + len + 1) != 0))) {
            continue;
        }
        *ret_words = two ? 2 : 1;
        return c;
    }
    return NULL;
}

// "create, ls, rm" when group is the first word of two-word commands; empty when it is not.
static struct str group_members(const struct command *commands, const char *group,
                                struct arena *a) {
    struct str list = STR_NONE;
    const size_t len = strlen(group);
    for (const struct command *c = commands; c->name; c++) {
        if (strncmp(c->name, group, len) == 0 && c->name[len] == ' ') {
            list = arena_printf(a, STR_FMT "%s%s", STR_ARG(list), list.len ? ", " : "",
                                c->name + len + 1);
        }
    }
    return list;
}

bool args_is_group(const struct command *commands, const char *word) {
    const size_t len = strlen(word);
    for (const struct command *c = commands; c->name; c++) {
        if (strncmp(c->name, word, len) == 0 && c->name[len] == ' ') {
            return true;
        }
    }
    return false;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

// What to say when the first words are no command; also decides that help was asked for.
static enum err_code no_command(struct args *out, int argc, char **argv, struct err *err) {
    if (is_help(argv[0])) {
        out->help = true;
        return ERR_OK;
    }
    if (argv[0][0] == '-') {
        return err_set(err, ERR_INVALID, "unknown option \"%.100s\"; try \"tarn --help\"", argv[0]);
    }
    const struct str members = group_members(out->commands, argv[0], out->arena);
    if (members.len > 0 && argc > 1 && is_help(argv[1])) {
        out->help = true;
        out->group = argv[0];
        return ERR_OK;
    }
    if (members.len > 0 && argc > 1) {
        return err_set(err, ERR_INVALID, "unknown command \"%s %.100s\"; \"tarn %s\" has " STR_FMT,
                       argv[0], argv[1], argv[0], STR_ARG(members));
    }
    if (members.len > 0) {
        return err_set(err, ERR_INVALID, "\"tarn %s\" needs one of: " STR_FMT, argv[0],
                       STR_ARG(members));
    }
    const char *near = args_command_nearest(out->commands, argv[0]);
    return err_set(err, ERR_INVALID, "unknown command \"%.100s\"; %s%s\"%s", argv[0],
                   near ? "did you mean \"tarn " : "try \"tarn --help", near ? near : "",
                   near ? "?" : "");
}

// One word of argv that starts with a dash, taken apart.
struct option_word {
    struct str name;
    bool has_value;
    struct str value;
};

static struct option_word option_split(const char *word) {
    struct option_word w = {.name = str_from(word + 1)};
    if (word[1] == '-') {
        w.name = str_from(word + 2);
        const ptrdiff_t equals = str_find_char(w.name, '=');
        if (equals >= 0) {
            w.has_value = true;
            w.value = str_slice(w.name, (size_t)equals + 1, w.name.len);
            w.name.len = (size_t)equals;
        }
    } else if (w.name.len > 1) {
        w.has_value = true; // -fFILE
        w.value = str_slice(w.name, 1, w.name.len);
        w.name.len = 1;
    }
    return w;
}

static enum err_code option_find(const struct command *c, const char *word,
                                 const struct option_word *w, struct args_option *ret,
                                 struct err *err) {
    const bool is_short = word[1] != '-';
    char name[DISTANCE_LETTERS_MAX + 1];
    snprintf(name, sizeof(name), STR_FMT, STR_ARG(w->name));
    struct nearest n = nearest_to(name);
    struct args_option o = {0};
    for (size_t i = 0; args_option_at(c, i, &o); i++) {
        const bool same = is_short ? w->name.ptr[0] == o.letter : str_is(w->name, o.name);
        if (same) {
            *ret = o;
            return ERR_OK;
        }
        nearest_try(&n, o.name);
    }
    const char *dashes = is_short ? "-" : "--";
    if (n.best && !is_short) {
        return err_set(err, ERR_INVALID,
                       "unknown option \"--%s\" of \"tarn %s\"; did you mean --%s?", name, c->name,
                       n.best);
    }
    return err_set(err, ERR_INVALID, "unknown option \"%s%s\"; try \"tarn %s --help\"", dashes,
                   name, c->name);
}

static bool choice_has(const char *choices, struct str value) {
    struct str rest = str_from(choices);
    struct str choice = STR_NONE;
    while (str_cut(&rest, '|', &choice)) {
        if (str_eq(choice, value)) {
            return true;
        }
    }
    return false;
}

static enum err_code option_check(const struct args_option *o, const struct option_word *w,
                                  struct err *err) {
    if (!o->value && w->has_value) {
        return err_set(err, ERR_INVALID, "--%s takes no value", o->name);
    }
    if (o->value && !o->maybe && strchr(o->value, '|') && !choice_has(o->value, w->value)) {
        return err_set(err, ERR_INVALID, "--%s is one of %s, not \"" STR_FMT "\"", o->name,
                       o->value, STR_ARG(str_slice(w->value, 0, 100)));
    }
    return ERR_OK;
}

static void give(struct args *out, const struct args_option *o, const struct option_word *w) {
    if (is_config_option(out->command, o->name)) {
        const struct str text =
            w->has_value ? arena_printf(out->arena, "--%s=" STR_FMT, o->name, STR_ARG(w->value))
                         : arena_printf(out->arena, "--%s", o->name);
        out->config_argv[out->config_argc++] = arena_cstr(out->arena, text);
    }
    out->given[out->given_count++] =
        (struct args_given){o->name, str_from(arena_cstr(out->arena, w->value))};
}

// Takes the option at argv[*at] and moves *at behind it and its value.
static enum err_code take_option(struct args *out, int argc, char **argv, int *at,
                                 struct err *err) {
    const char *word = argv[(*at)++];
    struct option_word w = option_split(word);
    struct args_option o = {0};
    TRY(option_find(out->command, word, &w, &o, err));
    CHECK(o.name);
    if (o.value && !o.maybe && !w.has_value) {
        if (*at >= argc) {
            return err_set(err, ERR_INVALID, "--%s needs a value: --%s %s", o.name, o.name,
                           o.value);
        }
        w.has_value = true;
        w.value = str_from(argv[(*at)++]);
    }
    TRY(option_check(&o, &w, err));
    give(out, &o, &w);
    out->help = out->help || strcmp(o.name, "help") == 0;
    return ERR_OK;
}

static enum err_code check_words(const struct args *a, struct err *err) {
    const struct command *c = a->command;
    if (a->help) {
        return ERR_OK;
    }
    if (a->word_count < c->words_min) {
        return err_set(err, ERR_INVALID, "\"tarn %s\" needs %s; try \"tarn %s --help\"", c->name,
                       c->arguments, c->name);
    }
    if (a->word_count > c->words_max) {
        return err_set(err, ERR_INVALID,
                       "\"%.100s\" is one word too many: \"tarn %s %s\" (texts with blanks need "
                       "quotes)",
                       a->words[c->words_max], c->name, c->arguments);
    }
    return ERR_OK;
}

enum err_code args_parse(const struct command *commands, int argc, char **argv, struct arena *a,
                         struct args *ret, struct err *err) {
    struct args out = {.commands = commands, .arena = a};
    CHECK(argc > 0);
    const size_t count = (size_t)argc;
    out.words = arena_array(a, count, sizeof(*out.words));
    out.given = arena_array(a, count, sizeof(*out.given));
    out.config_argv = arena_array(a, count + 1, sizeof(*out.config_argv));
    size_t taken = 0;
    out.command = args_command_find(commands, count, (const char *const *)argv, &taken);
    if (!out.command) {
        TRY(no_command(&out, argc, argv, err));
        *ret = out;
        return ERR_OK;
    }
    bool only_words = false;
    for (int at = (int)taken; at < argc;) {
        if (!only_words && strcmp(argv[at], "--") == 0) {
            only_words = true;
            at++;
        } else if (!only_words && argv[at][0] == '-' && argv[at][1] != '\0') {
            TRY(take_option(&out, argc, argv, &at, err));
        } else {
            out.words[out.word_count++] = argv[at++];
        }
    }
    TRY(check_words(&out, err));
    *ret = out;
    return ERR_OK;
}

const char *args_value(const struct args *a, const char *name) {
    for (size_t i = a->given_count; i > 0; i--) {
        if (strcmp(a->given[i - 1].name, name) == 0) {
            return a->given[i - 1].value.ptr;
        }
    }
    return NULL;
}

bool args_flag(const struct args *a, const char *name) {
    return args_value(a, name) != NULL;
}

enum err_code args_number(const struct args *a, const char *name, int64_t fallback, int64_t max,
                          int64_t *ret, struct err *err) {
    const char *text = args_value(a, name);
    int64_t number = fallback;
    if (text && (!str_to_i64(str_from(text), &number) || number < 1 || number > max)) {
        return err_set(err, ERR_INVALID, "--%s is a number from 1 to %" PRId64 ", not \"%.40s\"",
                       name, max, text);
    }
    *ret = number;
    return ERR_OK;
}

// Configuration: every source gives texts, and one function checks a text and puts it into its
// place.
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FILE_BYTES_MAX = 1024 * 1024,
    LINE_BYTES_MAX = 4096,
    NAME_BYTES_MAX = 64,
};

// What a type is to the parser: how its texts are read, and what to say when one is wrong.
struct config_type {
    const char *name;
    bool (*parse)(struct str text, int64_t *ret);
    const char *expected;
};

// A unit that may stand behind a number.
struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}};
static const struct unit time_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

static bool parse_unit(struct str text, const struct unit *units, size_t count, int64_t *ret) {
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    const struct str name = str_slice(text, digits, text.len);
    int64_t number = 0;
    if (!str_to_i64(str_slice(text, 0, digits), &number)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (str_is(name, units[i].name)) {
            return !__builtin_mul_overflow(number, units[i].factor, ret);
        }
    }
    return false;
}

static bool parse_size(struct str text, int64_t *ret) {
    return parse_unit(text, size_units, ARRAY_LEN(size_units), ret);
}

static bool parse_time_ms(struct str text, int64_t *ret) {
    if (str_is(text, "0")) {
        *ret = 0;
        return true;
    }
    return parse_unit(text, time_units, ARRAY_LEN(time_units), ret);
}

static bool parse_flag(struct str text, int64_t *ret) {
    static const char *const words[][2] = {
        {"false", "true"}, {"0", "1"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        for (int v = 0; v < 2; v++) {
            if (str_is(text, words[i][v])) {
                *ret = v;
                return true;
            }
        }
    }
    return false;
}

// A text has no number; it is refused only for characters that no path or address has.
static bool parse_text(struct str text, int64_t *ret) {
    *ret = 0;
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20) {
            return false;
        }
    }
    return str_is_utf8(text);
}

static const struct config_type type_text = {"text", parse_text,
                                             "text in UTF-8 without control characters"};
static const struct config_type type_flag = {"flag", parse_flag, "true or false"};
static const struct config_type type_count = {"count", str_to_i64, "a whole number"};
static const struct config_type type_size = {"size", parse_size,
                                             "bytes, as a number or with K, M or G behind it"};
static const struct config_type type_time_ms = {"time_ms", parse_time_ms,
                                                "a time: a number with ms, s, m or h behind it"};

static const struct config_type *const types[CONFIG_COUNT] = {
#define X(section, name, type, def, min, max, help) &type_##type,
    CONFIG_OPTIONS(X)
#undef X
};

static const size_t offsets[CONFIG_COUNT] = {
#define X(section, name, type, def, min, max, help) offsetof(struct config, section##_##name),
    CONFIG_OPTIONS(X)
#undef X
};

// flag and env are made from the names at first use: the preprocessor cannot change letters.
static struct config_option options[CONFIG_COUNT] = {
#define X(section, name, type, def, min, max, help)                                                \
    {#section, #name, #type, def, help, NULL, NULL, min, max},
    CONFIG_OPTIONS(X)
#undef X
};

static char flags[CONFIG_COUNT][NAME_BYTES_MAX];
static char variables[CONFIG_COUNT][NAME_BYTES_MAX];

// Replaces every from in text by to, after the first skip bytes.
static void replace(char *text, size_t skip, char from, char to) {
    for (char *c = text + skip; *c; c++) {
        *c = *c == from ? to : *c;
    }
}

static void upper(char *text) {
    for (char *c = text; *c; c++) {
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    }
}

static void make_names(void) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        struct config_option *o = &options[i];
        const bool bare = strcmp(o->section, "server") == 0;
        const char *section = bare ? "" : o->section;
        const char *dash = bare ? "" : "_";
        const int flag_len = snprintf(flags[i], NAME_BYTES_MAX, "--%s%s%s", section, dash, o->name);
        const int env_len =
            snprintf(variables[i], NAME_BYTES_MAX, "TARN_%s%s%s", section, dash, o->name);
        CHECK(flag_len < NAME_BYTES_MAX && env_len < NAME_BYTES_MAX);
        replace(flags[i], 2, '_', '-');
        upper(variables[i]);
        o->flag = flags[i];
        o->env = variables[i];
    }
}

const struct config_option *config_options(size_t *ret_count) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, make_names) == 0);
    *ret_count = CONFIG_COUNT;
    return options;
}

// One load: what it reads into and what it allocates from.
struct loader {
    struct config *config;
    struct arena *arena;
    struct err *err;
    const struct config_option *options;
};

static void store(struct loader *l, size_t i, struct str text, int64_t number) {
    char *place = (char *)l->config + offsets[i];
    if (types[i] == &type_text) {
        const struct str copy = arena_str(l->arena, text);
        memcpy(place, &copy, sizeof(copy));
    } else if (types[i] == &type_flag) {
        const bool on = number != 0;
        memcpy(place, &on, sizeof(on));
    } else {
        memcpy(place, &number, sizeof(number));
    }
}

// Checks the text of option i and takes it. source lives as long as the arena.
static enum err_code assign(struct loader *l, size_t i, struct str text, const char *source) {
    const struct config_option *o = &l->options[i];
    const struct config_type *type = types[i];
    int64_t number = 0;
    if (!type->parse(text, &number)) {
        return err_set(l->err, ERR_INVALID, "%s.%s (%s): \"" STR_FMT "\" is not %s", o->section,
                       o->name, source, STR_ARG(str_slice(text, 0, 100)), type->expected);
    }
    if (type != &type_text && (number < o->min || number > o->max)) {
        return err_set(l->err, ERR_INVALID,
                       "%s.%s (%s): " STR_FMT " is out of range; from %" PRId64 " to %" PRId64
                       "%s is right",
                       o->section, o->name, source, STR_ARG(text), o->min, o->max,
                       type == &type_time_ms ? " milliseconds" : "");
    }
    store(l, i, text, number);
    l->config->sources[i] = source;
    return ERR_OK;
}

static enum err_code load_defaults(struct loader *l) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        TRY(assign(l, i, str_from(l->options[i].def), "default"));
    }
    return ERR_OK;
}

// The file while the INI library takes lines out of it.
struct file {
    struct loader *loader;
    const char *path;
    struct str rest;
    int line;
    bool seen[CONFIG_COUNT];
    enum err_code code; // of the first line that was refused
};

static enum err_code file_open(const char *path, int *ret, struct err *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)err_errno(err, "cannot open the configuration file %s", path);
        err->code = ERR_INVALID;
        return err->code;
    }
    *ret = fd;
    return ERR_OK;
}

static enum err_code file_read(const char *path, struct buf *out, struct err *err) {
    DEFER(closep) int fd = -1;
    TRY(file_open(path, &fd, err));
    for (;;) {
        char block[4096];
        const ssize_t got = read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            (void)err_errno(err, "cannot read the configuration file %s", path);
            err->code = ERR_INVALID;
            return err->code;
        }
        if (got == 0) {
            break;
        }
        buf_add(out, block, (size_t)got);
    }
    if (out->overflow) {
        return err_set(err, ERR_INVALID, "the configuration file %s has more than %d bytes", path,
                       FILE_BYTES_MAX);
    }
    return ERR_OK;
}

static enum err_code file_refuse(struct file *f, const char *what) {
    if (f->code == ERR_OK) {
        f->code = err_set(f->loader->err, ERR_INVALID, "%s:%d: %s", f->path, f->line, what);
    }
    return f->code;
}

// Gives the INI library one line, as fgets would, and counts it.
static char *next_line(char *out, int room, void *arg) {
    struct file *f = arg;
    struct str line = STR_NONE;
    if (f->code != ERR_OK || !str_cut(&f->rest, '\n', &line)) {
        return NULL;
    }
    f->line++;
    if (line.len + 2 > (size_t)room) {
        (void)file_refuse(f, "the line is too long");
        return NULL;
    }
    if (str_find_char(line, '\0') >= 0) {
        (void)file_refuse(f, "the line has a NUL byte");
        return NULL;
    }
    memcpy(out, line.ptr, line.len);
    out[line.len] = '\n';
    out[line.len + 1] = '\0';
    return out;
}

static bool option_find(const char *section, const char *name, size_t *ret) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

// Takes one key of the file. Returns 0 when it was refused, as the INI library wants.
static int take_key(void *arg, const char *section, const char *name, const char *value) {
    struct file *f = arg;
    struct loader *l = f->loader;
    size_t i = 0;
    if (f->code != ERR_OK) {
        return 0;
    }
    if (!option_find(section, name, &i)) {
        f->code = err_set(l->err, ERR_INVALID,
                          "%s:%d: unknown key \"%.60s\" in section [%.60s]; the options that "
                          "--help lists are right, --http-body-max as body_max in [http]",
                          f->path, f->line, name, section);
        return 0;
    }
    if (f->seen[i]) {
        f->code = err_set(l->err, ERR_INVALID, "%s:%d: %s.%s is set twice; once is right", f->path,
                          f->line, section, name);
        return 0;
    }
    f->seen[i] = true;
    const struct str source = arena_printf(l->arena, "%s:%d", f->path, f->line);
    f->code = assign(l, i, str_from(value), source.ptr);
    return f->code == ERR_OK;
}

static enum err_code load_file(struct loader *l, const char *path) {
    DEFER(buf_release) struct buf text = BUF(FILE_BYTES_MAX);
    TRY(file_read(path, &text, l->err));
    ini_max_line = LINE_BYTES_MAX;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    struct file f = {.loader = l, .path = path, .rest = buf_str(&text)};
    const int bad_line = ini_parse_stream(next_line, &f, take_key, &f);
    if (f.code == ERR_OK && bad_line != 0) {
        return file_refuse(&f, "neither a [section], nor a key = value, nor a # comment");
    }
    return f.code;
}

static enum err_code load_environment(struct loader *l) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const char *value = getenv(l->options[i].env);
        if (value && *value) {
            TRY(assign(l, i, str_from(value), l->options[i].env));
        }
    }
    return ERR_OK;
}

// One flag of the command line with its value.
struct flag {
    struct str name;  // "--data"
    struct str value; // of a flag option without one: "true"
    bool is_config;   // --config, which names the file
    size_t option;    // otherwise
};

static bool flag_find(struct str name, struct flag *ret) {
    ret->is_config = str_is(name, "--config");
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        if (str_is(name, options[i].flag)) {
            ret->option = i;
            return true;
        }
    }
    return ret->is_config;
}

// Reads the flag at argv[*at] and moves *at behind it.
static enum err_code next_flag(int argc, char **argv, int *at, struct flag *ret, struct err *err) {
    const struct str word = str_from(argv[(*at)++]);
    const ptrdiff_t equals = str_find_char(word, '=');
    ret->name = equals < 0 ? word : str_slice(word, 0, (size_t)equals);
    if (!str_starts(word, STR("--")) || !flag_find(ret->name, ret)) {
        return err_set(err, ERR_INVALID, "unknown option \"" STR_FMT "\"; --help lists all",
                       STR_ARG(str_slice(ret->name, 0, 100)));
    }
    if (equals >= 0) {
        ret->value = str_slice(word, (size_t)equals + 1, word.len);
    } else if (!ret->is_config && types[ret->option] == &type_flag) {
        ret->value = STR("true");
    } else if (*at < argc) {
        ret->value = str_from(argv[(*at)++]);
    } else {
        return err_set(err, ERR_INVALID, STR_FMT " needs a value: " STR_FMT "=VALUE",
                       STR_ARG(ret->name), STR_ARG(ret->name));
    }
    return ERR_OK;
}

// The file that --config names, else TARN_CONFIG, else NULL. Sees unknown flags before anything
// is read.
static enum err_code find_file(struct loader *l, int argc, char **argv, const char **ret) {
    const char *env = getenv("TARN_CONFIG");
    const char *path = env && *env ? env : NULL;
    for (int at = 0; at < argc;) {
        struct flag f = {0};
        TRY(next_flag(argc, argv, &at, &f, l->err));
        if (f.is_config) {
            path = arena_cstr(l->arena, f.value);
        }
    }
    *ret = path;
    return ERR_OK;
}

static enum err_code load_flags(struct loader *l, int argc, char **argv) {
    for (int at = 0; at < argc;) {
        struct flag f = {0};
        TRY(next_flag(argc, argv, &at, &f, l->err));
        if (!f.is_config) {
            TRY(assign(l, f.option, f.value, l->options[f.option].flag));
        }
    }
    return ERR_OK;
}

enum err_code config_load(int argc, char **argv, struct arena *a, struct config *ret,
                          struct err *err) {
    size_t count = 0;
    struct config config = {0};
    struct loader l = {&config, a, err, config_options(&count)};
    const char *path = NULL;
    TRY(find_file(&l, argc, argv, &path));
    TRY(load_defaults(&l));
    if (path) {
        TRY(load_file(&l, path));
    }
    TRY(load_environment(&l));
    TRY(load_flags(&l, argc, argv));
    *ret = config;
    return ERR_OK;
}

static void add_text(struct buf *out, struct str v) {
    buf_add_str(out, v);
}

static void add_flag(struct buf *out, bool v) {
    buf_add_cstr(out, v ? "true" : "false");
}

static void add_count(struct buf *out, int64_t v) {
    buf_printf(out, "%" PRId64, v);
}

static void add_size(struct buf *out, int64_t v) {
    add_count(out, v);
}

static void add_time_ms(struct buf *out, int64_t v) {
    buf_printf(out, "%" PRId64 "ms", v);
}

static void add_source(struct buf *out, const char *source) {
    buf_printf(out, " # %s\n", source ? source : "default");
}

void config_text(const struct config *c, struct buf *out) {
#define X(section, name, type, def, min, max, help)                                                \
    buf_add_cstr(out, #section "." #name "=");                                                     \
    add_##type(out, c->section##_##name);                                                          \
    add_source(out, c->sources[CONFIG_##section##_##name]);
    CONFIG_OPTIONS(X)
#undef X
}

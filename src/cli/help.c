// Help: every text about the commands, made from their table.
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/version.h"

enum { COLUMN_MAX = 30, LABEL_MAX = 80 };

static const struct {
    const char *code, *text;
} exit_codes[] = {
    {"0", "Done."},
    {"1", "Error: the message says what failed."},
    {"2", "Usage: the command line or a value in it is wrong."},
    {"3", "Not found."},
    {"4", "Denied: no token, a wrong one, or one without the right."},
    {"5", "Conflict: it exists already, has changed meanwhile, or does not fit the schema."},
    {"6", "Unavailable: no server there, or it is too busy."},
    {"130", "Interrupted with Ctrl-C."},
};

static const struct {
    const char *name, *text;
} variables[] = {
    {"TARN_URL", "The server that client commands speak to."},
    {"TARN_TOKEN", "The token that they show."},
    {"TARN_DATA", "The data folder, of the server and for its admin.token."},
    {"TARN_CONFIG", "Configuration file of the server."},
};

static const char intro[] =
    "Tarn is a lakehouse in one program: files become tables in open Parquet and Iceberg files, "
    "and SQL answers over HTTP.";

// "-n, --number N" or "    --demo[=true|false]".
static void option_label(const struct args_option *o, char *out) {
    char letter[5] = "    ";
    if (o->letter) {
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    }
    const char *before = "";
    if (o->value) {
        before = o->maybe ? "[=" : " ";
    }
    snprintf(out, LABEL_MAX, "%s--%s%s%s%s", letter, o->name, before, o->value ? o->value : "",
             o->maybe ? "]" : "");
}

static void add_row(struct buf *out, const char *label, size_t width, const char *text) {
    if (strlen(label) > width) {
        buf_printf(out, "  %s\n  %*s  %s\n", label, (int)width, "", text);
    } else {
        buf_printf(out, "  %-*s  %s\n", (int)width, label, text);
    }
}

// The default of an option of the configuration; NULL when it is another option or has none.
static const char *config_default(const struct command *c, const char *name) {
    size_t count = 0;
    const struct config_option *rows = config_options(&count);
    for (size_t i = 0; (c->flags & COMMAND_CONFIG) && i < count; i++) {
        if (strcmp(rows[i].flag + 2, name) == 0 && *rows[i].def) {
            return rows[i].def;
        }
    }
    return NULL;
}

static void add_options(const struct command *c, struct buf *out) {
    struct args_option o = {0};
    char label[LABEL_MAX];
    size_t width = 0;
    for (size_t i = 0; args_option_at(c, i, &o); i++) {
        option_label(&o, label);
        const size_t len = strlen(label);
        width = len <= COLUMN_MAX ? MAX(width, len) : width;
    }
    buf_add_cstr(out, "\nOptions:\n");
    for (size_t i = 0; args_option_at(c, i, &o); i++) {
        char text[LABEL_MAX * 3];
        const char *def = config_default(c, o.name);
        snprintf(text, sizeof(text), "%s%s%s%s", o.help, def ? " Default: " : "", def ? def : "",
                 def ? "." : "");
        option_label(&o, label);
        add_row(out, label, width, text);
    }
}

static void add_commands(const struct command *commands, const char *group, struct buf *out) {
    const size_t len = group ? strlen(group) : 0;
    size_t width = 0;
    for (const struct command *c = commands; c->name; c++) {
        width = MAX(width, strlen(c->name));
    }
    for (const struct command *c = commands; c->name; c++) {
        if (!group || (strncmp(c->name, group, len) == 0 && c->name[len] == ' ')) {
            add_row(out, c->name, width, c->summary);
        }
    }
}

void help_program(const struct command *commands, struct buf *out) {
    buf_add_cstr(out, "Usage: tarn COMMAND [OPTION...]\n\n"
                      "A lakehouse in one program: files in, SQL out, open formats on disk.\n\n"
                      "Commands:\n");
    add_commands(commands, NULL, out);
    buf_add_cstr(out, "\n\"tarn COMMAND --help\" tells more of one; \"tarn help --man | man -l -\" "
                      "of all.\n\nFirst steps:\n"
                      "  tarn serve --demo\n"
                      "  tarn ls\n"
                      "  tarn query 'SELECT count(*) FROM candidates'\n"
                      "  tarn ingest flights.csv\n\nExit codes:\n");
    for (size_t i = 0; i < ARRAY_LEN(exit_codes); i++) {
        add_row(out, exit_codes[i].code, 3, exit_codes[i].text);
    }
}

void help_command(const struct command *c, struct buf *out) {
    buf_printf(out, "Usage: tarn %s [OPTION...]%s%s\n\n%s\n", c->name, *c->arguments ? " " : "",
               c->arguments, c->summary);
    if (*c->text) {
        buf_printf(out, "\n%s\n", c->text);
    }
    add_options(c, out);
}

void help_group(const struct command *commands, const char *group, struct buf *out) {
    buf_printf(out, "Usage: tarn %s COMMAND [OPTION...]\n\nCommands:\n", group);
    add_commands(commands, group, out);
    buf_printf(out, "\n\"tarn %s COMMAND --help\" tells more of one.\n", group);
}

// Text for roff: backslashes and dashes escaped, and no line that starts a request.
static void roff(struct buf *out, const char *text) {
    bool line_start = true;
    for (const char *c = text; *c; c++) {
        if (line_start && (*c == '.' || *c == '\'')) {
            buf_add_cstr(out, "\\&");
        }
        if (*c == '\\') {
            buf_add_cstr(out, "\\e");
        } else if (*c == '-') {
            buf_add_cstr(out, "\\-");
        } else {
            buf_add_char(out, *c);
        }
        line_start = *c == '\n';
    }
}

static void roff_item(struct buf *out, const char *label, const char *text) {
    buf_add_cstr(out, ".TP\n\\fB");
    roff(out, label);
    buf_add_cstr(out, "\\fR\n");
    roff(out, text);
    buf_add_cstr(out, "\n");
}

// Paragraphs; lines that start with two spaces are examples and keep their form.
static void roff_text(struct buf *out, const char *text) {
    struct str rest = str_from(text);
    struct str line = STR_NONE;
    bool example = false;
    while (str_cut(&rest, '\n', &line)) {
        const bool indented = str_starts(line, STR("  "));
        if (indented != example) {
            buf_add_cstr(out, indented ? ".PP\n.RS\n.nf\n" : ".fi\n.RE\n");
            example = indented;
        }
        if (line.len == 0) {
            buf_add_cstr(out, rest.len > 0 && *rest.ptr != ' ' ? ".PP\n" : "");
            continue;
        }
        char copy[200];
        snprintf(copy, sizeof(copy), STR_FMT, STR_ARG(str_trim(line)));
        roff(out, copy);
        buf_add_char(out, '\n');
    }
    if (example) {
        buf_add_cstr(out, ".fi\n.RE\n");
    }
}

static void roff_command(struct buf *out, const struct command *c) {
    buf_add_cstr(out, ".SS \"tarn ");
    roff(out, c->name);
    buf_add_cstr(out, *c->arguments ? " " : "");
    roff(out, c->arguments);
    buf_add_cstr(out, "\"\n");
    roff(out, c->summary);
    buf_add_cstr(out, "\n");
    if (*c->text) {
        buf_add_cstr(out, *c->text == ' ' ? "" : ".PP\n");
        roff_text(out, c->text);
    }
    struct args_option o = {0};
    char label[LABEL_MAX];
    for (size_t i = 0; c->options && c->options[i].name; i++) {
        o = c->options[i];
        option_label(&o, label);
        roff_item(out, label + strspn(label, " "), o.help);
    }
    if (c->flags & COMMAND_CONFIG) {
        buf_add_cstr(out, ".PP\nTakes the options of CONFIGURATION.\n");
    }
    if (c->flags & COMMAND_CLIENT) {
        buf_add_cstr(out, ".PP\nTakes the CLIENT OPTIONS.\n");
    }
}

// The options that a command has beside its own: those that carry the flag.
static void roff_shared(struct buf *out, unsigned flag) {
    const struct command none = {.name = "", .flags = flag};
    struct args_option o = {0};
    char label[LABEL_MAX];
    for (size_t i = 0; args_option_at(&none, i, &o); i++) {
        option_label(&o, label);
        roff_item(out, label + strspn(label, " "), o.help);
    }
}

static void roff_config(struct buf *out) {
    size_t count = 0;
    const struct config_option *rows = config_options(&count);
    buf_add_cstr(out, ".SH CONFIGURATION\n");
    roff_text(out, "An option is taken from the command line, else from its environment variable, "
                   "else from the configuration file (INI: a [section], key = value), else its "
                   "default holds. An unknown key is refused. BYTES take K, M, G (powers of "
                   "1024); TIME takes ms, s, m, h.");
    roff_shared(out, COMMAND_CONFIG);
    buf_add_cstr(out, ".PP\nThe same options in the file and in the environment, and their "
                      "defaults:\n");
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, ".TP\n");
        buf_printf(out, "[%s] %s, %s\n", rows[i].section, rows[i].name, rows[i].env);
        buf_add_cstr(out, "Default: ");
        roff(out, *rows[i].def ? rows[i].def : "empty");
        buf_add_cstr(out, ".\n");
    }
}

void help_man(const struct command *commands, struct buf *out) {
    buf_printf(out, ".TH TARN 1 \"\" \"Tarn %s\" \"Tarn\"\n", version_text());
    buf_add_cstr(out, ".SH NAME\ntarn \\- a lakehouse in one program\n"
                      ".SH SYNOPSIS\n.B tarn\n\\fICOMMAND\\fR [\\fIOPTION\\fR...]\n"
                      ".SH DESCRIPTION\n");
    roff(out, intro);
    buf_add_cstr(out, "\n.PP\nData goes to standard output, messages to standard error; progress "
                      "is shown only on a terminal.\n.SH COMMANDS\n");
    for (const struct command *c = commands; c->name; c++) {
        roff_command(out, c);
    }
    buf_add_cstr(out, ".SH CLIENT OPTIONS\n");
    roff_shared(out, COMMAND_CLIENT);
    roff_config(out);
    buf_add_cstr(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < ARRAY_LEN(exit_codes); i++) {
        roff_item(out, exit_codes[i].code, exit_codes[i].text);
    }
    buf_add_cstr(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        roff_item(out, variables[i].name, variables[i].text);
    }
    buf_add_cstr(out, ".SH FILES\n");
    roff_item(out, "<data>/primary", "The bucket that always exists: catalog log and tables.");
    roff_item(out, "<data>/admin.token", "The first token, made at the first start.");
    roff_item(out, "<data>/cache, <data>/spool", "May be deleted while the server is down.");
}

// Is c the first command with its first word?
static bool is_first_of_group(const struct command *commands, const struct command *c) {
    const size_t len = strcspn(c->name, " ");
    for (const struct command *earlier = commands; earlier < c; earlier++) {
        if (strcspn(earlier->name, " ") == len && strncmp(earlier->name, c->name, len) == 0) {
            return false;
        }
    }
    return true;
}

static void add_first_words(const struct command *commands, struct buf *out) {
    for (const struct command *c = commands; c->name; c++) {
        if (is_first_of_group(commands, c)) {
            buf_printf(out, "%s%.*s", c == commands ? "" : " ", (int)strcspn(c->name, " "),
                       c->name);
        }
    }
}

static void add_second_words(const struct command *commands, const struct command *of,
                             struct buf *out) {
    const size_t len = strcspn(of->name, " ");
    const char *gap = "";
    for (const struct command *c = commands; c->name; c++) {
        if (strncmp(c->name, of->name, len) == 0 && c->name[len] == ' ') {
            buf_printf(out, "%s%s", gap, c->name + len + 1);
            gap = " ";
        }
    }
}

// "csv tsv" of "csv|tsv".
static void add_choices(struct buf *out, const char *value) {
    for (const char *c = value; *c; c++) {
        buf_add_char(out, *c == '|' ? ' ' : *c);
    }
}

static void bash_options(const struct command *c, struct buf *out) {
    struct args_option o = {0};
    buf_printf(out, "    '%s')\n        options='", c->name);
    for (size_t i = 0; args_option_at(c, i, &o); i++) {
        buf_printf(out, "%s--%s", i > 0 ? " " : "", o.name);
    }
    buf_add_cstr(out, "'\n        case $before in\n");
    for (size_t i = 0; args_option_at(c, i, &o); i++) {
        if (o.value && !o.maybe && strchr(o.value, '|')) {
            buf_printf(out, "        --%s) values='", o.name);
            add_choices(out, o.value);
            buf_add_cstr(out, "' ;;\n");
        }
    }
    buf_add_cstr(out, "        esac\n        ;;\n");
}

static void completion_bash(const struct command *commands, struct buf *out) {
    buf_add_cstr(out,
                 "# Completion of tarn for bash: source <(tarn completion bash)\n"
                 "_tarn() {\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    local command=${COMP_WORDS[1]} options= values= words=\n"
                 "    COMPREPLY=()\n"
                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                 "        COMPREPLY=($(compgen -W '");
    add_first_words(commands, out);
    buf_add_cstr(out, " --help --version' -- \"$word\"))\n        return\n    fi\n"
                      "    case $command in\n");
    for (const struct command *c = commands; c->name; c++) {
        if (strchr(c->name, ' ') && is_first_of_group(commands, c)) {
            buf_printf(out, "    %.*s) words='", (int)strcspn(c->name, " "), c->name);
            add_second_words(commands, c, out);
            buf_add_cstr(out, "' ;;\n");
        }
    }
    buf_add_cstr(out, "    esac\n"
                      "    if [ -n \"$words\" ]; then\n"
                      "        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                      "            COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                      "            return\n"
                      "        fi\n"
                      "        command=\"$command ${COMP_WORDS[2]}\"\n"
                      "    fi\n"
                      "    case $command in\n");
    for (const struct command *c = commands; c->name; c++) {
        bash_options(c, out);
    }
    buf_add_cstr(out, "    esac\n"
                      "    if [ -n \"$values\" ]; then\n"
                      "        COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
                      "    elif [[ $word == -* ]]; then\n"
                      "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
                      "    fi\n"
                      "}\n"
                      "complete -o default -F _tarn tarn\n");
}

// Text between single quotes for the shells; with brackets escaped where zsh reads them.
static void shell_quoted(struct buf *out, const char *text, const char *escape) {
    for (const char *c = text; *c; c++) {
        if (*c == '\'') {
            buf_add_cstr(out, "'\\''");
            continue;
        }
        if (strchr(escape, *c)) {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, *c);
    }
}

static void zsh_options(const struct command *c, struct buf *out) {
    struct args_option o = {0};
    buf_printf(out, "    '%s')\n        _arguments", c->name);
    for (size_t i = 0; args_option_at(c, i, &o); i++) {
        buf_printf(out, " \\\n            '*--%s%s[", o.name, o.value && !o.maybe ? "=" : "");
        shell_quoted(out, o.help, "[]:\\");
        buf_add_char(out, ']');
        if (o.value && !o.maybe && strchr(o.value, '|')) {
            buf_add_cstr(out, ":value:(");
            add_choices(out, o.value);
            buf_add_char(out, ')');
        } else if (o.value && !o.maybe) {
            const bool folder = strcmp(o.value, "DIR") == 0;
            const bool file = strcmp(o.value, "FILE") == 0;
            buf_printf(out, ":%s:%s", o.value, file ? "_files" : folder ? "_files -/" : "");
        }
        buf_add_char(out, '\'');
    }
    buf_add_cstr(out, " \\\n            '*:file:_files'\n        ;;\n");
}

static void zsh_group(const struct command *commands, const struct command *of, struct buf *out) {
    const size_t len = strcspn(of->name, " ");
    buf_printf(out,
               "    %.*s)\n        if (( CURRENT == 3 )); then\n            local -a members=(\n",
               (int)len, of->name);
    for (const struct command *c = commands; c->name; c++) {
        if (strncmp(c->name, of->name, len + 1) == 0) {
            buf_printf(out, "                '%s:", c->name + len + 1);
            shell_quoted(out, c->summary, ":");
            buf_add_cstr(out, "'\n");
        }
    }
    buf_add_cstr(out, "            )\n            _describe command members\n            return\n"
                      "        fi\n        command=\"$command $words[3]\"\n        ;;\n");
}

static void completion_zsh(const struct command *commands, struct buf *out) {
    buf_add_cstr(out, "#compdef tarn\n# Completion of tarn for zsh: put it into a folder of "
                      "$fpath as _tarn\n_tarn() {\n    local -a commands=(\n");
    for (const struct command *c = commands; c->name; c++) {
        if (is_first_of_group(commands, c)) {
            buf_printf(out, "        '%.*s:", (int)strcspn(c->name, " "), c->name);
            shell_quoted(out, c->summary, ":");
            buf_add_cstr(out, "'\n");
        }
    }
    buf_add_cstr(out, "    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n"
                      "        return\n    fi\n    local command=$words[2]\n"
                      "    case $command in\n");
    for (const struct command *c = commands; c->name; c++) {
        if (strchr(c->name, ' ') && is_first_of_group(commands, c)) {
            zsh_group(commands, c, out);
        }
    }
    buf_add_cstr(out, "    esac\n    case $command in\n");
    for (const struct command *c = commands; c->name; c++) {
        zsh_options(c, out);
    }
    buf_add_cstr(out, "    esac\n}\n_tarn \"$@\"\n");
}

static void fish_option(const struct command *c, const struct args_option *o, struct buf *out) {
    const size_t len = strcspn(c->name, " ");
    buf_printf(out, "complete -c tarn -n '__fish_seen_subcommand_from %.*s", (int)len, c->name);
    if (c->name[len] == ' ') {
        buf_printf(out, "; and __fish_seen_subcommand_from %s", c->name + len + 1);
    }
    buf_printf(out, "' -l %s", o->name);
    if (o->letter) {
        buf_printf(out, " -s %c", o->letter);
    }
    if (o->value && !o->maybe && strchr(o->value, '|')) {
        buf_add_cstr(out, " -x -a '");
        add_choices(out, o->value);
        buf_add_char(out, '\'');
    } else if (o->value && !o->maybe) {
        buf_add_cstr(out, " -r");
    }
    buf_add_cstr(out, " -d '");
    shell_quoted(out, o->help, "");
    buf_add_cstr(out, "'\n");
}

static void completion_fish(const struct command *commands, struct buf *out) {
    buf_add_cstr(out, "# Completion of tarn for fish: tarn completion fish | source\n");
    for (const struct command *c = commands; c->name; c++) {
        const char *space = strchr(c->name, ' ');
        const size_t len = strcspn(c->name, " ");
        if (is_first_of_group(commands, c)) {
            buf_printf(out, "complete -c tarn -n __fish_use_subcommand -f -a %.*s -d '", (int)len,
                       c->name);
            shell_quoted(out, c->summary, "");
            buf_add_cstr(out, "'\n");
        }
        if (space) {
            buf_printf(out, "complete -c tarn -n '__fish_seen_subcommand_from %.*s' -f -a %s -d '",
                       (int)len, c->name, space + 1);
            shell_quoted(out, c->summary, "");
            buf_add_cstr(out, "'\n");
        }
        struct args_option o = {0};
        for (size_t i = 0; args_option_at(c, i, &o); i++) {
            fish_option(c, &o, out);
        }
    }
}

enum err_code help_completion(const struct command *commands, const char *shell, struct buf *out,
                              struct err *err) {
    static const struct {
        const char *shell;
        void (*fn)(const struct command *commands, struct buf *out);
    } shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (strcmp(shell, shells[i].shell) == 0) {
            shells[i].fn(commands, out);
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID, "no completion for \"%.40s\"; there is bash, zsh and fish",
                   shell);
}

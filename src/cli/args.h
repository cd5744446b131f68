// Arguments of the command line, read as the one table of commands says.
//
// The table makes the parser, --help, the manual page and the shells' completion (help.h). A
// command's name may have two words ("token create"). Its options are those of its own row, then
// those that all client commands share, then those of the configuration, then --help;
// args_option_at walks them.
//
// Everything is borrowed from argv and the table or lives in the arena. One thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct args;

struct args_option {
    const char *name;  // without dashes; NULL ends a list
    char letter;       // 0: none
    bool maybe;        // the value may be left out: --demo, --demo=false
    const char *value; // "FILE", or what it may be: "csv|tsv"; NULL: a flag
    const char *help;
};

enum {
    COMMAND_CLIENT = 1, // speaks to a server: takes the options of all client commands
    COMMAND_CONFIG = 2, // takes the options of the configuration
    COMMAND_MANY = 99,  // words_max: any number
};

struct command {
    const char *name;      // NULL ends the table
    const char *arguments; // as --help shows them: "NAME", "FILE..."
    const char *summary;   // one line
    const char *text;      // paragraphs, then examples as lines that start with two spaces
    const struct args_option *options;
    unsigned flags;
    size_t words_min, words_max;
    enum err_code (*run)(const struct args *a, struct err *err);
};

struct args_given {
    const char *name;
    struct str value; // empty for a flag
};

struct args {
    const struct command *commands;
    const struct command *command; // NULL: help for the word in `group`
    const char *group;             // "token" of "tarn token --help"; NULL: help for the program
    bool help;
    struct arena *arena;
    const char **words;
    size_t word_count;
    struct args_given *given;
    size_t given_count;
    char **config_argv; // the configuration's options, for config_load
    int config_argc;
};

// argv without the program's name. ERR_INVALID names what is wrong and the nearest right thing.
MUST_CHECK enum err_code args_parse(const struct command *commands, int argc, char **argv,
                                    struct arena *a, struct args *ret, struct err *err);
// The command whose name these words start with; *ret_words is how many it took. NULL: none.
const struct command *args_command_find(const struct command *commands, size_t count,
                                        const char *const *words, size_t *ret_words);
// Do commands of two words start with this one?
bool args_is_group(const struct command *commands, const char *word);
// False when the command has no option of that index.
bool args_option_at(const struct command *c, size_t index, struct args_option *ret);

// The last value given, or NULL. NUL-terminated.
const char *args_value(const struct args *a, const char *name);
bool args_flag(const struct args *a, const char *name);
// A number between min and max, or fallback when the option is not there.
MUST_CHECK enum err_code args_number(const struct args *a, const char *name, int64_t fallback,
                                     int64_t max, int64_t *ret, struct err *err);

// How many letters must be added, dropped, changed or swapped to turn one word into the other.
size_t args_distance(const char *from, const char *to);
// The known command nearest to the word, or NULL when none is near.
const char *args_command_nearest(const struct command *commands, const char *word);

// Help: what the table of commands says, as text, as a manual page and as completion of shells.
#pragma once

#include "base/str.h"
#include "cli/args.h"

void help_program(const struct command *commands, struct buf *out);
void help_command(const struct command *c, struct buf *out);
// The commands whose name starts with the word `group`.
void help_group(const struct command *commands, const char *group, struct buf *out);
// The manual page, section 1, in the macros of man(7).
void help_man(const struct command *commands, struct buf *out);
// shell: "bash", "zsh" or "fish".
MUST_CHECK enum err_code help_completion(const struct command *commands, const char *shell,
                                         struct buf *out, struct err *err);

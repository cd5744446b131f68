// What the files of the jail share.
#pragma once

#include "worker/jail.h"

// Allows only the system calls that are listed; all others fail. For the calling thread.
MUST_CHECK enum err_code jail_calls_enter(struct err *err);

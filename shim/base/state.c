#include "base/state.h"

#include <stddef.h>

int shim_state = SHIM_LOADING;
const char *shim_passive_reason;

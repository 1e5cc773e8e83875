#include "../../../shim/proc/modules.c"

#include "../../../shim/proc/elfsym.c"

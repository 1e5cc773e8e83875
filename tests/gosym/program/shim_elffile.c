#include "../../../shim/proc/elffile.c"

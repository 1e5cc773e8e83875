#include "../../../shim/elffile.c"

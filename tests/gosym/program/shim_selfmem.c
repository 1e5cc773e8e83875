#include "../../../shim/selfmem.c"

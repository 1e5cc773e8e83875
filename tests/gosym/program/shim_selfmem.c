#include "../../../shim/base/selfmem.c"

#include "../../../shim/lock.c"

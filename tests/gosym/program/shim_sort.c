#include "../../../shim/sort.c"

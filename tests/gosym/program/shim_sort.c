#include "../../../shim/base/sort.c"

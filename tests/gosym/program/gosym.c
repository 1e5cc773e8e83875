#include "../../../shim/gosym.c"

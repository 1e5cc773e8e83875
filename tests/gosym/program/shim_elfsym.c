#include "../../../shim/elfsym.c"

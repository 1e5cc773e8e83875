#include "../../../shim/goexe.c"

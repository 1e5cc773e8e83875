#include "../../../shim/go/goexe.c"

#include "../../../shim/gosym.c"
#include "../../../shim/gotables.c"

#include "../../../shim/modules.c"

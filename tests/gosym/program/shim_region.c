#include "../../../shim/region.c"

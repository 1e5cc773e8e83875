#include "../../../shim/region/region.c"

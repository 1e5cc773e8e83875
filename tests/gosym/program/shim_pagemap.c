#include "../../../shim/pagemap.c"

#include "../../../shim/base/pagemap.c"

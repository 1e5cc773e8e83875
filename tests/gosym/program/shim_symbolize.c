#include "../../../shim/symbolize.c"

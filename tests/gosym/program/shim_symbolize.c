#include "../../../shim/profile/symbolize.c"

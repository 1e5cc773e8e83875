#include "../../../shim/seccomp.c"

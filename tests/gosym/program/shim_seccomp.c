#include "../../../shim/base/seccomp.c"

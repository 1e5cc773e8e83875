#include <stddef.h>

void *ln_record(size_t n);

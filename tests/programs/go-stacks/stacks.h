#include <stddef.h>
#include "oracle.h"

void *st_leaf(size_t n);
/* Calls back into Go (`level` says which function), which calls C again. */
void *st_nested(size_t n, int level);
/* Go grows its stack in the callback; then C allocates. */
void *st_after_growth(size_t n, int depth);
/* A C thread that allocates, and one that calls Go, which calls st_leaf. */
void *st_on_thread(size_t n);
void *st_through_thread(size_t n);
/* SIGUSR1 is raised below this function; its handler allocates. */
void *st_in_signal(size_t n);
/* Many signals while this thread allocates and frees. Returns the number of blocks that the
 * handler allocated. */
long st_signal_storm(int rounds);

/* C++: new[] below templates and a namespace, then in a catch clause. */
void *cxx_template(size_t n);
void *cxx_catch(size_t n);
void *cxx_unwound(size_t n);
int cxx_exceptions(int rounds);

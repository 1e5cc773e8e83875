#include <stddef.h>

/* Memory created here stays until it is freed by name. Each function returns 0, or -1 if the
 * system refuses. */

/* count blocks of size bytes; every step-th is fully written (0: none). */
int ac_malloc(long count, size_t size, long step);
int ac_memalign(long count, size_t alignment, size_t size);
/* Frees all blocks of ac_malloc but every keep-th (0: keeps none). */
void ac_free(long keep);
/* One block, of which the first bytes are written. */
int ac_big(size_t size, size_t touched);

/*
 * Threads fill their arenas together, pin one block each above the rest, and free the rest.
 * stay: they then wait forever instead of ending.
 */
int ac_churn(int threads, long blocks, size_t size, size_t pin, int stay);
/* Threads that write `deep` bytes of their stacks and stay; ac_stack returns the ranges. */
int ac_threads(int threads, size_t deep, size_t stack_size);
int ac_stack(int thread, unsigned long *start, unsigned long *end);

/* Anonymous private memory; the first bytes are written. */
int ac_map(size_t size, size_t touched);
/* Reserves size bytes and makes `pieces` of them usable, evenly spread; half of each is written. */
int ac_cage(size_t size, long pieces, size_t piece);
int ac_raw(size_t bytes);
/* In 2 MiB pages if the kernel has any. */
int ac_huge(size_t size);
/* Written, then marked so that the kernel may take it when needed. */
int ac_lazy(size_t size);
/* Written, then swapped out if there is swap. */
int ac_swapped(size_t size);
/*
 * A mapping that a thread fills and frees repeatedly, after one that takes long to search; both
 * have two owners.
 */
int ac_flicker(size_t size);
/* count mappings that cannot merge, of size bytes each, written. */
int ac_many(long count, size_t size);
/* A file of the size, mapped and read. */
int ac_file(const char *path, size_t size, int shared);
/* A private mapping of a file, every page written. */
int ac_copy(const char *path, size_t size);
/* Taken by sbrk and written. */
int ac_sbrk(size_t size);
/* The ring of a packet socket, in MiB; needs CAP_NET_RAW. */
int ac_ring(unsigned mib);
/* By memfd_create, by MAP_SHARED without a file, by shmget. */
int ac_shared(size_t memfd, size_t anonymous, size_t sysv);
/* .bss of the program, and of a library loaded by this call. */
extern const unsigned long ac_bss_bytes;
void ac_bss(void);
int ac_library(const char *path);

#include <stddef.h>

/* What is made here stays until it is freed by name; each returns 0, or -1 where the system
 * refuses. */

/* count blocks of size bytes; of every step-th (0: of none) all bytes are written. */
int ac_malloc(long count, size_t size, long step);
int ac_memalign(long count, size_t alignment, size_t size);
/* Frees all that ac_malloc made but every keep-th (0: keeps none). */
void ac_free(long keep);
/* One block, of which the first bytes are written. */
int ac_big(size_t size, size_t touched);

/*
 * Threads that fill their arenas together, pin one block each above it all, and
 * free the rest.  stay: they then wait for ever instead of ending.
 */
int ac_churn(int threads, long blocks, size_t size, size_t pin, int stay);
/* Threads that write `deep` bytes of their stacks and stay; their ranges are for ac_stack. */
int ac_threads(int threads, size_t deep, size_t stack_size);
int ac_stack(int thread, unsigned long *start, unsigned long *end);

/* Anonymous private memory; the first bytes are written. */
int ac_map(size_t size, size_t touched);
/* Reserves size bytes and makes `pieces` of them usable, spread evenly; half of each is written. */
int ac_cage(size_t size, long pieces, size_t piece);
int ac_raw(size_t bytes);
/* In 2 MiB pages, if the kernel has them to give. */
int ac_huge(size_t size);
/* Written, then given to the kernel to take when it wants it. */
int ac_lazy(size_t size);
/* Written, then swapped out, if there is where to. */
int ac_swapped(size_t size);
/*
 * A mapping that a thread fills and gives back, over and over, and before it one
 * that takes long to look through; both have two owners.
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
/* The ring of a packet socket; needs CAP_NET_RAW.  Of so many MiB. */
int ac_ring(unsigned mib);
/* By memfd_create, by MAP_SHARED without a file, by shmget. */
int ac_shared(size_t memfd, size_t anonymous, size_t sysv);
/* The program's own .bss, and that of a library that is loaded now. */
extern const unsigned long ac_bss_bytes;
void ac_bss(void);
int ac_library(const char *path);

/* Allocates memory of every kind, in exactly the requested amount. */
#include "account.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE     4096
#define HUGE     (2ul << 20)
#define RW       (PROT_READ | PROT_WRITE)
#define ANON     (MAP_PRIVATE | MAP_ANONYMOUS)
#define NOINLINE __attribute__((noinline))

/* Not on a heap, so that bookkeeping does not change any. */
#define MAX_BLOCKS  (1l << 20)
#define MAX_THREADS 1024
static void *blocks[MAX_BLOCKS];
static long block_count;

static void *write_over(void *p, size_t bytes)
{
	if (p && p != MAP_FAILED)
		memset(p, 0x5a, bytes);
	return p;
}

/* ---- malloc ------------------------------------------------------------- */

static int keep(void *p)
{
	if (!p || block_count == MAX_BLOCKS)
		return -1;
	blocks[block_count++] = p;
	return 0;
}

int ac_malloc(long count, size_t size, long step)
{
	for (long i = 0; i < count; i++) {
		if (keep(malloc(size)))
			return -1;
		if (step && i % step == 0)
			write_over(blocks[block_count - 1], size);
	}
	return 0;
}

int ac_memalign(long count, size_t alignment, size_t size)
{
	for (long i = 0; i < count; i++) {
		void *p = NULL;
		if (posix_memalign(&p, alignment, size) || keep(write_over(p, size)))
			return -1;
	}
	return 0;
}

void ac_free(long kept)
{
	long left = 0;

	for (long i = 0; i < block_count; i++) {
		if (kept && i % kept == 0)
			blocks[left++] = blocks[i];
		else
			free(blocks[i]);
	}
	block_count = left;
}

int ac_big(size_t size, size_t touched)
{
	return keep(write_over(malloc(size), touched));
}

/* ---- threads ------------------------------------------------------------ */

static struct churn {
	pthread_barrier_t barrier;
	long blocks;
	size_t size, pin;
	int stay;
} churn;

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

static void *churn_thread(void *arg)
{
	size_t list_bytes = (size_t)churn.blocks * sizeof(void *);
	void **list = mmap(NULL, list_bytes, RW, ANON, -1, 0);

	for (long i = 0; i < churn.blocks; i++)
		list[i] = write_over(malloc(churn.size), churn.size);
	pthread_barrier_wait(&churn.barrier);
	write_over(malloc(churn.pin), churn.pin);
	pthread_barrier_wait(&churn.barrier);
	for (long i = 0; i < churn.blocks; i++)
		free(list[i]);
	munmap(list, list_bytes);
	pthread_barrier_wait(&churn.barrier);
	if (churn.stay)
		wait_for_ever();
	return arg;
}

int ac_churn(int threads, long count, size_t size, size_t pin, int stay)
{
	static pthread_t ids[MAX_THREADS];

	if (threads > MAX_THREADS)
		return -1;
	pthread_barrier_init(&churn.barrier, NULL, (unsigned int)threads + 1);
	churn.blocks = count;
	churn.size = size;
	churn.pin = pin;
	churn.stay = stay;
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&ids[i], NULL, churn_thread, NULL))
			return -1;
	}
	for (int step = 0; step < 3; step++)
		pthread_barrier_wait(&churn.barrier);
	for (int i = 0; i < threads && !stay; i++)
		pthread_join(ids[i], NULL);
	return 0;
}

static pthread_t deep_threads[MAX_THREADS];
static int deep_count;
static pthread_barrier_t deep_barrier;

static NOINLINE void go_deep(size_t bytes)
{
	char room[2 * PAGE];

	write_over(room, sizeof(room));
	if (bytes > sizeof(room))
		go_deep(bytes - sizeof(room));
	else
		pthread_barrier_wait(&deep_barrier);
	__asm__ volatile("" : : "r"(room) : "memory");
}

static void *deep_thread(void *arg)
{
	go_deep((size_t)arg);
	wait_for_ever();
	return NULL;
}

int ac_threads(int threads, size_t deep, size_t stack_size)
{
	pthread_attr_t attr;

	if (deep_count + threads > MAX_THREADS || pthread_attr_init(&attr) ||
	    (stack_size && pthread_attr_setstacksize(&attr, stack_size)))
		return -1;
	pthread_barrier_init(&deep_barrier, NULL, (unsigned int)threads + 1);
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&deep_threads[deep_count++], &attr, deep_thread, (void *)deep))
			return -1;
	}
	pthread_barrier_wait(&deep_barrier);
	pthread_attr_destroy(&attr);
	return 0;
}

int ac_stack(int thread, unsigned long *start, unsigned long *end)
{
	pthread_attr_t attr;
	void *low;
	size_t size;

	if (thread >= deep_count || pthread_getattr_np(deep_threads[thread], &attr) ||
	    pthread_attr_getstack(&attr, &low, &size))
		return -1;
	pthread_attr_destroy(&attr);
	*start = (unsigned long)low;
	*end = (unsigned long)low + size;
	return 0;
}

/* ---- mappings ----------------------------------------------------------- */

int ac_map(size_t size, size_t touched)
{
	void *p = mmap(NULL, size, RW, ANON, -1, 0);

	return write_over(p, touched) == MAP_FAILED ? -1 : 0;
}

static NOINLINE int commit(char *piece, size_t size)
{
	return mprotect(piece, size, RW);
}

/* Maps like Rust's rustix: by the instruction, and works for a while. */
int ac_raw(size_t bytes)
{
	register long flags __asm__("r10") = ANON, fd __asm__("r8") = -1, at __asm__("r9") = 0;
	long p;
	__asm__ volatile("syscall"
			 : "=a"(p)
			 : "a"(SYS_mmap), "D"(0), "S"(bytes), "d"(RW), "r"(flags), "r"(fd), "r"(at)
			 : "rcx", "r11", "memory");
	if (p < 0 && p > -4096)
		return -1;
	write_over((void *)p, bytes);
	usleep(20000);
	return 0;
}

int ac_cage(size_t size, long pieces, size_t piece)
{
	char *cage = mmap(NULL, size, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	size_t stride = size / (size_t)pieces / PAGE * PAGE;

	if (cage == MAP_FAILED)
		return -1;
	for (long i = 0; i < pieces; i++) {
		if (commit(cage + (size_t)i * stride, piece))
			return -1;
		write_over(cage + (size_t)i * stride, piece / 2);
	}
	return 0;
}

int ac_huge(size_t size)
{
	char *p = mmap(NULL, size + HUGE, RW, ANON, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	p += -(unsigned long)p % HUGE;
	if (madvise(p, size, MADV_HUGEPAGE))
		return -1;
	write_over(p, size);
	return 0;
}

int ac_lazy(size_t size)
{
	void *p = write_over(mmap(NULL, size, RW, ANON, -1, 0), size);

	return p == MAP_FAILED ? -1 : madvise(p, size, MADV_FREE);
}

int ac_swapped(size_t size)
{
	void *p = write_over(mmap(NULL, size, RW, ANON, -1, 0), size);

	return p == MAP_FAILED ? -1 : madvise(p, size, MADV_PAGEOUT);
}

static struct {
	char *start;
	size_t size;
} flicker;

static void *flicker_thread(void *arg)
{
	for (;;) {
		write_over(flicker.start,
			   flicker.size - PAGE); /* otherwise there is nothing to search */
		usleep(3000);
		madvise(flicker.start, flicker.size, MADV_DONTNEED);
		usleep(3000);
	}
	return arg;
}

/* By the system call itself, not through libc. */
static char *map_raw(char *at, size_t size, int protection, int flags)
{
	return (char *)syscall(SYS_mmap, at, size, protection, ANON | MAP_NORESERVE | flags, -1, 0);
}

static int map_by_two(char *at, size_t size)
{
	map_raw(at, size, RW, MAP_FIXED);
	return mmap(at, size / 2, RW, ANON | MAP_FIXED | MAP_NORESERVE, -1, 0) == at ? 0 : -1;
}

int ac_flicker(size_t size)
{
	const size_t slow = 16ul << 30;
	pthread_t id;
	char *p = map_raw(NULL, slow + PAGE + size + PAGE, PROT_NONE, 0);

	flicker.start = p + slow + PAGE;
	flicker.size = size;
	if (p == MAP_FAILED || map_by_two(p, slow) || map_by_two(flicker.start, size))
		return -1;
	p[0] = 1;
	return pthread_create(&id, NULL, flicker_thread, NULL) ? -1 : 0;
}

/* An inaccessible page between them keeps them separate. */
int ac_many(long count, size_t size)
{
	for (long i = 0; i < count; i++) {
		char *p = mmap(NULL, size + PAGE, RW, ANON, -1, 0);
		if (p == MAP_FAILED || mprotect(p + size, PAGE, PROT_NONE))
			return -1;
		write_over(p, size);
	}
	return 0;
}

static int read_over(const char *p, size_t bytes)
{
	static volatile char sink;

	for (size_t i = 0; i < bytes; i += PAGE)
		sink = p[i];
	(void)sink;
	return 0;
}

int ac_file(const char *path, size_t size, int shared)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size))
		return -1;
	char *p = mmap(NULL, size, PROT_READ, shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	close(fd);
	return p == MAP_FAILED ? -1 : read_over(p, size);
}

int ac_copy(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size))
		return -1;
	void *p = mmap(NULL, size, RW, MAP_PRIVATE, fd, 0);
	close(fd);
	return write_over(p, size) == MAP_FAILED ? -1 : 0;
}

int ac_sbrk(size_t size)
{
	return write_over(sbrk((intptr_t)size), size) == MAP_FAILED ? -1 : 0;
}

int ac_ring(unsigned mib)
{
	struct tpacket_req3 r = {.tp_block_size = 1 << 20,
				 .tp_block_nr = mib,
				 .tp_frame_size = 2048,
				 .tp_frame_nr = mib * 512,
				 .tp_retire_blk_tov = 100};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V3;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)))
		return -1;
	return mmap(NULL, (size_t)mib << 20, RW, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static int share_memfd(size_t size)
{
	int fd = memfd_create("account", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size))
		return -1;
	void *p = mmap(NULL, size, RW, MAP_SHARED, fd, 0);
	close(fd);
	return write_over(p, size) == MAP_FAILED ? -1 : 0;
}

static int share_sysv(size_t size)
{
	int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
	void *p = id < 0 ? MAP_FAILED : shmat(id, NULL, 0);

	if (id >= 0)
		shmctl(id, IPC_RMID, NULL); /* freed with its last user */
	return write_over(p, size) == MAP_FAILED ? -1 : 0;
}

int ac_shared(size_t memfd, size_t anonymous, size_t sysv)
{
	void *p = mmap(NULL, anonymous, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return write_over(p, anonymous) == MAP_FAILED || share_memfd(memfd) || share_sysv(sysv) ? -1
												: 0;
}

/* ---- the program and its libraries -------------------------------------- */

static char bss[32 << 20];
const unsigned long ac_bss_bytes = sizeof(bss);

void ac_bss(void)
{
	write_over(bss, sizeof(bss));
}

int ac_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);
	void (*touch)(void) = library ? (void (*)(void))dlsym(library, "library_touch") : NULL;

	if (!touch)
		return -1;
	touch();
	return 0;
}

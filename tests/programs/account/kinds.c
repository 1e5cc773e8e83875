/* Each kind of memory, one per run: the growth in the account must match what the program did. */
#include "account.h"

#include <dlfcn.h>
#include <linux/if_packet.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

static long long want[OWNERS];

static void *kept[400000];

static void untouched(void)
{
	kept[0] = malloc(1024 * MIB);
	CHECK(kept[0]);
	want[C_LIVE] = 0;
}

/* A gigabyte in use of which nothing is resident is still reported, separately from resident
 * bytes. */
static void check_untouched(void)
{
	CHECK(number_after(hooks_get("/v1/account"), "in_use_bytes") >= 1024 * MIB);
}

static void blocks(size_t size, int count, int keep_every)
{
	for (int i = 0; i < count; i++) {
		kept[i] = malloc(size);
		CHECK(kept[i]);
		memset(kept[i], 1, size);
	}
	for (int i = 0; keep_every && i < count - 1; i++)
		if (i % keep_every)
			free(kept[i]);
}

static void live(void)
{
	blocks(1016, 100000, 0);
	want[C_LIVE] = 100000 * 1024;
}

static void retained(void)
{
	blocks(1016, 100000, 100000);
	want[C_RETAINED] = 100000 * 1024;
}

static void half_retained(void)
{
	blocks(1016, 100000, 2);
	want[C_LIVE] = want[C_RETAINED] = 50000 * 1024;
}

static pthread_barrier_t all_are_there;

static void *churn(void *unused)
{
	enum { COUNT = 2000 };
	void *own[COUNT];
	for (int i = 0; i < COUNT; i++) {
		own[i] = malloc(4080);
		CHECK(own[i]);
		memset(own[i], 1, 4080);
	}
	pthread_barrier_wait(&all_are_there);
	/* The last block stays and keeps everything below it from being returned. */
	for (int i = 0; i < COUNT - 1; i++)
		free(own[i]);
	return unused;
}

static void arenas(void)
{
	pthread_t threads[32];
	CHECK(pthread_barrier_init(&all_are_there, NULL, 32) == 0);
	for (int i = 0; i < 32; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
	for (int i = 0; i < 32; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	want[C_RETAINED] = 32 * 1999 * 4096;
}

static void big(void)
{
	for (int i = 0; i < 50; i++) {
		kept[i] = malloc(4 * MIB);
		CHECK(kept[i]);
		touch(kept[i], 2 * MIB);
	}
	want[C_LIVE] = 50 * 2 * MIB;
}

static void mapped(void)
{
	char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	touch(p, 32 * MIB);
	want[C_MMAP] = 32 * MIB;
}

/* Pages that are read before they are written are all the same zero page, which is not in RSS. */
static void zeros(void)
{
	char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	touch(p, 16 * MIB);
	for (size_t i = 0; i < 64 * MIB; i += PAGE)
		CHECK(((volatile char *)p)[i] <= 1);
	want[C_MMAP] = 16 * MIB;
}

static void cage(void)
{
	char *p = mmap(NULL, 4096 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		       0);
	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 64; i++) {
		char *piece = p + i * 32 * MIB;
		CHECK(mprotect(piece, MIB, PROT_READ | PROT_WRITE) == 0);
		touch(piece, MIB);
	}
	want[C_MMAP] = 64 * MIB;
}

static int file_of(long long bytes)
{
	const char *path = getenv("ACCOUNT_FILE");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && ftruncate(fd, bytes) == 0);
	return fd;
}

static void file(void)
{
	char *p = mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, file_of(256 * MIB), 0);
	CHECK(p != MAP_FAILED);
	touch(p, 256 * MIB);
	want[MAPPED_FILES] = 256 * MIB;
}

/* Written pages are the process's; pages that are only read are page cache. */
static void private_file(void)
{
	char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_of(64 * MIB), 0);
	CHECK(p != MAP_FAILED);
	/* Page by page, without readahead around pages that are only read. */
	CHECK(madvise(p, 64 * MIB, MADV_RANDOM) == 0);
	touch(p, 48 * MIB);
	for (size_t i = 48 * MIB; i < 64 * MIB; i += PAGE)
		(void)((volatile char *)p)[i];
	want[FILE_COPIES] = 48 * MIB;
	want[MAPPED_FILES] = 16 * MIB;
}

static void check_private_file(void)
{
	const char *json = strstr(hooks_get("/v1/account"), "\"mapped_top\":");
	CHECK(json && (json = strstr(json, "{\"owner\":\"file_copies\",\"file\":\"")));
	CHECK(strncmp(strchr(json, '/'), getenv("ACCOUNT_FILE"), strlen(getenv("ACCOUNT_FILE"))) ==
	      0);
	CHECK(number_after(json, "bytes") == 48 * MIB && strstr(json, "\"private_file\""));
}

/* A written private mapping of a memory file, and one of /dev/zero: not file pages. */
static void private_memfd(void)
{
	int fd = memfd_create("account", 0), zero = open("/dev/zero", O_RDWR);
	CHECK(fd >= 0 && ftruncate(fd, 32 * MIB) == 0 && zero >= 0);
	char *p = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *z = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
	CHECK(p != MAP_FAILED && z != MAP_FAILED);
	touch(p, 32 * MIB);
	touch(z, 32 * MIB);
	want[FILE_COPIES] = want[C_MMAP] = 32 * MIB;
}

/* ---- the break ------------------------------------------------------------ */

static void taken_by_sbrk(void)
{
	for (int i = 0; i < 40; i++) {
		char *p = sbrk(MIB);
		CHECK(p != (void *)-1);
		touch(p, MIB);
	}
	CHECK(brk((char *)sbrk(0) + 10 * MIB) == 0);
	touch((char *)sbrk(0) - 10 * MIB, 10 * MIB);
	CHECK(sbrk(-5 * MIB) != (void *)-1);
	want[C_BRK] = 45 * MIB;
}

static void check_sbrk(void)
{
	const char *json = strstr(hooks_get("/v1/account"), "\"mapped_top\":");
	CHECK(json && (json = strstr(json, "{\"owner\":\"c_brk\"")));
	CHECK(number_after(json, "bytes") == 40 * MIB && strstr(json, "\"taken_by_sbrk\""));
}

/* glibc continues above memory that other code took, and counts the gaps as its own and in use. */
static void among_malloc(void)
{
	for (int i = 0; i < 50; i++) {
		char *p = sbrk(MIB);
		CHECK(p != (void *)-1);
		touch(p, MIB);
		for (int k = 0; k < 1000; k++) {
			kept[i * 1000 + k] = malloc(1016);
			CHECK(kept[i * 1000 + k]);
			memset(kept[i * 1000 + k], 1, 1016);
		}
	}
	for (int i = 0; i < 50000; i += 2)
		free(kept[i]);
	want[C_BRK] = 50 * MIB;
	want[C_LIVE] = want[C_RETAINED] = 25000 * 1024;
}

/* By a libc function without a hook: only the amount is known. */
static void past_the_hooks(void)
{
	void *(*libc_sbrk)(intptr_t) = (void *(*)(intptr_t))dlsym(RTLD_NEXT, "__sbrk");
	CHECK(libc_sbrk);
	char *p = libc_sbrk(100 * MIB);
	CHECK(p != (void *)-1);
	touch(p, 100 * MIB);
	want[C_BRK] = 100 * MIB;
}

/* Looks like a heap of an arena but is not glibc's: another copy of its malloc created it. */
static void lookalike(void)
{
	char *p = (char *)syscall(SYS_mmap, NULL, 128 * MIB, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	p = (char *)(((size_t)p + 64 * MIB - 1) & ~(size_t)(64 * MIB - 1));
	size_t head[4] = {(size_t)p + 48, 0, 32 * MIB, 32 * MIB};
	touch(p, 32 * MIB);
	memcpy(p, head, sizeof(head));
	want[UNTRACKED_MMAP] = 32 * MIB;
}

/* ---- devices -------------------------------------------------------------- */

static void ring(void)
{
	struct tpacket_req3 r = {.tp_block_size = MIB,
				 .tp_block_nr = 16,
				 .tp_frame_size = 2048,
				 .tp_frame_nr = 8192,
				 .tp_retire_blk_tov = 100};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V3;
	if (fd < 0) {
		dprintf(2, "a packet socket needs CAP_NET_RAW\n");
		exit(77);
	}
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) == 0);
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)) == 0);
	CHECK(mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
}

static void rings(void)
{
	for (int i = 0; i < 3; i++)
		ring();
	want[DEVICE_MAPS] = 48 * MIB;
}

static void check_rings(void)
{
	const char *json = strstr(hooks_get("/v1/account"), "\"mapped_top\":");
	CHECK(json && (json = strstr(json, "{\"owner\":\"device_maps\",\"file\":\"socket\"")));
	CHECK(number_after(json, "bytes") == 48 * MIB && strstr(json, "\"rings\""));
}

/* Maps the executable as an ordinary file. */
static void own_file(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct stat st;
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	for (off_t i = 0; i < st.st_size; i += PAGE)
		(void)((volatile char *)p)[i];
	want[MAPPED_FILES] = st.st_size;
}

static void shared(void)
{
	char *anonymous =
		mmap(NULL, 40 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("account", 0), id = shmget(IPC_PRIVATE, 20 * MIB, 0600);
	CHECK(anonymous != MAP_FAILED && fd >= 0 && ftruncate(fd, 30 * MIB) == 0 && id >= 0);
	char *memfd = mmap(NULL, 30 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *sysv = shmat(id, NULL, 0);
	CHECK(memfd != MAP_FAILED && sysv != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
	touch(anonymous, 40 * MIB);
	touch(memfd, 30 * MIB);
	touch(sysv, 20 * MIB);
	want[SHARED_MEMORY] = 90 * MIB;
}

static void raw(void)
{
	char *p = (char *)syscall(SYS_mmap, NULL, 100 * MIB, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	touch(p, 100 * MIB);
	want[UNTRACKED_MMAP] = 100 * MIB;
}

/* Neighbours that the kernel may merge into one mapping: big blocks between raw mappings and
 * C's. */
static void neighbours(void)
{
	for (int i = 0; i < 8; i++) {
		kept[i] = malloc(4 * MIB);
		CHECK(kept[i]);
		touch(kept[i], 4 * MIB);
		raw();
		mapped();
	}
	want[C_LIVE] = 32 * MIB;
	want[UNTRACKED_MMAP] = 800 * MIB;
	want[C_MMAP] = 256 * MIB;
}

static char bss[48 << 20];

static void bss_written(void)
{
	touch(bss, sizeof(bss));
	want[PROGRAM] = sizeof(bss);
}

static void *sleeper(void *arg)
{
	char room[200 * 1024];
	touch(room, sizeof(room));
	pthread_barrier_wait(arg);
	pause();
	return NULL;
}

static void stacks(void)
{
	static pthread_barrier_t barrier;
	pthread_t thread;
	CHECK(pthread_barrier_init(&barrier, NULL, 101) == 0);
	for (int i = 0; i < 100; i++)
		CHECK(pthread_create(&thread, NULL, sleeper, &barrier) == 0);
	pthread_barrier_wait(&barrier);
	/* Plus two pages each for the descriptor and the first frames. */
	want[THREAD_STACKS] = 100 * (200 * 1024 + 2 * PAGE);
}

static const struct kind {
	const char *name;
	void (*make)(void);
	void (*check)(void);
} kinds[] = {
	{"untouched", untouched, check_untouched},
	{"live", live, NULL},
	{"retained", retained, NULL},
	{"half_retained", half_retained, NULL},
	{"arenas", arenas, NULL},
	{"big", big, NULL},
	{"mapped", mapped, NULL},
	{"zeros", zeros, NULL},
	{"cage", cage, NULL},
	{"file", file, NULL},
	{"private_file", private_file, check_private_file},
	{"private_memfd", private_memfd, NULL},
	{"sbrk", taken_by_sbrk, check_sbrk},
	{"sbrk_among_malloc", among_malloc, NULL},
	{"sbrk_past_the_hooks", past_the_hooks, NULL},
	{"lookalike", lookalike, NULL},
	{"rings", rings, check_rings},
	{"own_file", own_file, NULL},
	{"shared", shared, NULL},
	{"raw", raw, NULL},
	{"neighbours", neighbours, NULL},
	{"bss", bss_written, NULL},
	{"stacks", stacks, NULL},
};

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (strcmp(kinds[i].name, argv[1]) != 0)
			continue;
		/* Twice: the memory that an account needs exists after the first one. */
		take_account();
		struct seen before = take_account();
		kinds[i].make();
		struct seen after = take_account();
		expect_growth(&before, &after, want);
		if (kinds[i].check)
			kinds[i].check();
		return 0;
	}
	return 2;
}

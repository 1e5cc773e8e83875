/*
 * edges CASE: stacks that change where no program by plans comes to: words in the middle, memory
 * that goes away, code that is replaced, handlers at any instruction.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "../hooks/hooks.h"
#include "rows.h"
#include "take.h"

static volatile uint64_t sink;

/* ---- one word in the middle ---------------------------------------------------- */

/*
 * Frames with RBP: scribbled_by_call(f) calls f(the address of its frame: the saved RBP and the
 * return address). Two of them, whose rows are alike.
 */
#define FRAMED(name)                                                                               \
	void name(void (*f)(uint64_t * frame));                                                    \
	extern const char name##_after[];                                                          \
	__asm__(".text\n"                                                                          \
		".type " #name ", @function\n" #name ":\n"                                         \
		".cfi_startproc\n"                                                                 \
		"push %rbp\n"                                                                      \
		".cfi_adjust_cfa_offset 8\n"                                                       \
		".cfi_offset rbp, -16\n"                                                           \
		"mov %rsp, %rbp\n"                                                                 \
		".cfi_def_cfa_register rbp\n"                                                      \
		"mov %rdi, %rax\n"                                                                 \
		"mov %rsp, %rdi\n"                                                                 \
		"call *%rax\n" #name "_after:\n"                                                   \
		"pop %rbp\n"                                                                       \
		".cfi_def_cfa rsp, 8\n"                                                            \
		".cfi_restore rbp\n"                                                               \
		"ret\n"                                                                            \
		".cfi_endproc\n"                                                                   \
		".size " #name ", .-" #name "\n")
FRAMED(framed);
FRAMED(framed_too);

static uint64_t *outer_frame;

/* Replaces a word, takes a block, and puts the word back. */
static void NOINLINE take_with(uint64_t *slot, uint64_t value)
{
	uint64_t was = *(volatile uint64_t *)slot;

	take();
	*(volatile uint64_t *)slot = value;
	take();
	take();
	*(volatile uint64_t *)slot = was;
	take();
}

/* frame: of the innermost framed, below which framed's return address and base are outer's. */
static void in_inner(uint64_t *frame)
{
	uint64_t *middle = (uint64_t *)frame[0]; /* of the frame that called it */

	/* Another return address, whose row is the same. */
	take_with(&frame[1], (uint64_t)framed_after);
	take_with(&frame[1], (uint64_t)framed_too_after);
	take_with(&middle[1], (uint64_t)framed_after);
	take_with(&middle[1], (uint64_t)framed_too_after);
	/* The same return address, but another base: a frame is left out. */
	take_with(&frame[0], (uint64_t)outer_frame);
	take_with(&middle[0], middle[0]);
}

static void in_middle(uint64_t *frame)
{
	(void)frame;
	framed(in_inner);
}

static void in_upper(uint64_t *frame)
{
	(void)frame;
	framed_too(in_middle);
}

static void in_outer(uint64_t *frame)
{
	outer_frame = frame;
	framed(in_upper);
}

static void scribbled(void)
{
	for (int i = 0; i < 50; i++) {
		framed_too(in_outer);
		framed(in_outer);
	}
}

/* ---- memory that goes away ------------------------------------------------------------ */

#define STACK_BYTES ((size_t)256 << 10)

static ucontext_t home, away;
static uint64_t leaf_wanted;

static void NOINLINE take_some(void)
{
	for (int i = 0; i < 3; i++)
		take();
}

/* Goes down to the wanted address, so that the frames below lie where they lay before. */
static void NOINLINE go_down_to(uint64_t address)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	volatile char *room = __builtin_alloca((here - address - 256) & ~(uint64_t)15);

	room[0] = 1;
	framed((void (*)(uint64_t *))take_some);
	room[0] = 2;
}

static void on_other_stack(void)
{
	go_down_to(leaf_wanted);
	swapcontext(&away, &home);
}

static void run_on(char *stack, size_t bytes)
{
	getcontext(&away);
	away.uc_stack = (stack_t){.ss_sp = stack, .ss_size = bytes};
	away.uc_link = NULL;
	makecontext(&away, on_other_stack, 0);
	swapcontext(&home, &away);
}

/*
 * A walk from the upper half of a stack to its top; then the upper half is gone, and another stack
 * ends at the half, with the same frames at the same place. Not by munmap, which the library sees.
 */
static void cut(void)
{
	for (int i = 0; i < 50; i++) {
		size_t half = STACK_BYTES / 2;
		char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(stack != MAP_FAILED);
		leaf_wanted = (uint64_t)stack + half - 2048 - (uint64_t)(i % 8) * 4096;
		run_on(stack, STACK_BYTES);
		run_on(stack, STACK_BYTES);
		if (i % 2)
			CHECK(syscall(SYS_munmap, stack + half, half) == 0);
		else
			CHECK(syscall(SYS_mprotect, stack + half, half, PROT_NONE) == 0);
		run_on(stack, half);
		run_on(stack, half);
		CHECK(syscall(SYS_munmap, stack, i % 2 ? half : STACK_BYTES) == 0);
	}
}

/* ---- code that is replaced --------------------------------------------------------------- */

/* Calls frame(then, stale), from a frame of so many bytes. */
typedef void edges_frame(void (*then)(void), const void *stale);
#define SPACED(name, bytes)                                                                        \
	void name(edges_frame *frame, void (*then)(void), const void *stale);                      \
	extern const char name##_after[];                                                          \
	__asm__(".text\n"                                                                          \
		".type " #name ", @function\n" #name ":\n"                                         \
		".cfi_startproc\n"                                                                 \
		"sub $" #bytes ", %rsp\n"                                                          \
		".cfi_adjust_cfa_offset " #bytes "\n"                                              \
		"mov %rdi, %rax\n"                                                                 \
		"mov %rsi, %rdi\n"                                                                 \
		"mov %rdx, %rsi\n"                                                                 \
		"call *%rax\n" #name "_after:\n"                                                   \
		"add $" #bytes ", %rsp\n"                                                          \
		".cfi_adjust_cfa_offset -" #bytes "\n"                                             \
		"ret\n"                                                                            \
		".cfi_endproc\n"                                                                   \
		".size " #name ", .-" #name "\n")
SPACED(spaced_72, 72);
SPACED(spaced_40, 40);

/*
 * Two libraries, one at the address of the other. The larger frame is called from a smaller one, so
 * that all lies where it lay; and it keeps, where the smaller one has its return address, just
 * that.
 */
static void reloaded(void)
{
	static const struct {
		const char *library;
		void (*call)(edges_frame *, void (*)(void), const void *);
	} ways[] = {{"EDGES_FRAME_24", spaced_72}, {"EDGES_FRAME_56", spaced_40}};
	void *at[2] = {NULL};
	int same = 0;

	for (int i = 0; i < 60; i++) {
		void *library = dlopen(getenv(ways[i % 2].library), RTLD_NOW);
		CHECK(library);
		at[i % 2] = dlsym(library, "edges_frame");
		CHECK(at[i % 2]);
		ways[i % 2].call((edges_frame *)at[i % 2], take_some, spaced_72_after);
		same += at[0] == at[1];
		CHECK(dlclose(library) == 0);
	}
	CHECK(same > 20);
}

/* ---- what is known of a stack is lost ---------------------------------------------------- */

#define DISTINCT_BITS 14

/* As many stacks as there are numbers. */
static void NOINLINE distinct(unsigned bits, unsigned left)
{
	if (left == 0)
		free(malloc(8));
	else if (bits & 1) {
		distinct(bits >> 1, left - 1);
		ROWS_HERE(1);
	} else {
		distinct(bits >> 1, left - 1);
		ROWS_HERE(2);
	}
	sink++;
}

static pthread_barrier_t flood_begins, flood_ends;

static void *flood(void *rounds)
{
	for (unsigned round = 0; round < *(unsigned *)rounds; round++) {
		pthread_barrier_wait(&flood_begins);
		for (unsigned i = 0; i < 1u << DISTINCT_BITS; i++)
			distinct(i ^ round << DISTINCT_BITS, DISTINCT_BITS + 3);
		pthread_barrier_wait(&flood_ends);
	}
	return rounds;
}

/*
 * One thread takes from one stack; between its blocks another one floods the table of stacks, so
 * that it makes room: nothing is in use at this thread's stack then. Only its last blocks are kept.
 */
static void reclaimed(void)
{
	unsigned rounds = 5;
	pthread_t thread;

	CHECK(pthread_barrier_init(&flood_begins, NULL, 2) == 0);
	CHECK(pthread_barrier_init(&flood_ends, NULL, 2) == 0);
	CHECK(pthread_create(&thread, NULL, flood, &rounds) == 0);
	for (unsigned round = 0; round <= rounds; round++) {
		take_keeps = round == rounds;
		framed((void (*)(uint64_t *))take_some);
		if (round == rounds)
			break;
		long long before = hooks_status("reclaimed");
		pthread_barrier_wait(&flood_begins);
		pthread_barrier_wait(&flood_ends);
		while (hooks_status("reclaimed") == before)
			usleep(1000);
	}
	CHECK(pthread_join(thread, NULL) == 0);
	take_forget(take_count() - 3);
}

/* Sampling is turned off and on again between the blocks of one stack. */
static void toggled(void)
{
	for (int i = 0; i < 40; i++) {
		framed((void (*)(uint64_t *))take_some);
		hooks_ask("POST", "/v1/sampling?state=off");
		hooks_ask("POST", "/v1/sampling?state=on&sample_bytes=1");
	}
}

/* A child goes on where its parent took blocks. */
static void forked(void)
{
	char socket[256];
	bool is_child = false;
	int status;

	snprintf(socket, sizeof(socket) - 16, "%s", getenv("CGOHEAP_SOCKET"));
	for (int i = 0; i < 40; i++) {
		framed((void (*)(uint64_t *))take_some);
		pid_t child = i % 10 == 5 && !is_child ? fork() : -1;
		if (child > 0)
			CHECK(waitpid(child, &status, 0) == child && status == 0);
		is_child |= child == 0;
	}
	if (!is_child)
		return;
	sprintf(socket + strlen(socket), ".%d", (int)getpid());
	setenv("CGOHEAP_SOCKET", socket, 1);
	_exit(take_compare() != take_count());
}

/* ---- stacks with little room ------------------------------------------------------------------
 */

static void *on_little_stack(void *unused)
{
	framed((void (*)(uint64_t *))take_some);
	return unused;
}

static void tiny(void)
{
	for (size_t i = 0; i < 200; i++) {
		pthread_attr_t attr;
		pthread_t thread;
		pthread_attr_init(&attr);
		/* libgcc's unwinder needs some. */
		pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN + 16384 + i % 7 * 4096);
		CHECK(pthread_create(&thread, &attr, on_little_stack, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		pthread_attr_destroy(&attr);
	}
}

/* ---- handlers at any instruction
 * ----------------------------------------------------------------- */

static volatile bool is_taking;
static volatile int handled;

static void on_timer(int number)
{
	(void)number;
	if (!is_taking) {
		handled++;
		take();
	}
}

static uint64_t NOINLINE work_leaf(uint64_t a, uint64_t b)
{
	return a * b + sink;
}

/* Prologues and epilogues, more than bodies. */
static uint64_t NOINLINE work(uint64_t n, uint64_t a)
{
	uint64_t b = a * 3, c = b ^ n, d = c * 5, e = d + a, f = e * 13;

	if (n == 0)
		return work_leaf(a, b);
	uint64_t r = work(n - 1, a + 1) + work_leaf(c, d);
	return r + b * c + d * e + f;
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void NOINLINE work_in_libc(void)
{
	int list[16];

	for (int i = 0; i < 16; i++)
		list[i] = (i * 7 + 3) % 16;
	qsort(list, 16, sizeof(list[0]), compare_numbers);
	sink += (uint64_t)list[0];
}

static void interrupt(int flags, int wanted)
{
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART | flags};
	struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};

	handled = 0;
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int round = 0; handled < wanted; round++) {
		for (uint64_t n = 0; n < 12; n++)
			sink += work(n, n);
		work_in_libc();
		is_taking = true;
		if (round % 64 == 0)
			take();
		is_taking = false;
	}
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

static void *interrupted_twice(void *unused)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)},
		none = {.ss_flags = SS_DISABLE};

	interrupt(0, 700);
	CHECK(sigaltstack(&alternate, NULL) == 0);
	interrupt(SA_ONSTACK, 700);
	CHECK(sigaltstack(&none, NULL) == 0);
	return unused;
}

/* On the first thread, and on another; on the interrupted stack, and on another. */
static void interrupted(void)
{
	pthread_t thread;
	sigset_t alarms;

	interrupted_twice(NULL);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	CHECK(pthread_create(&thread, NULL, interrupted_twice, NULL) == 0);
	CHECK(pthread_sigmask(SIG_BLOCK, &alarms, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- which --------------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {{"scribbled", scribbled}, {"cut", cut},
	     {"reloaded", reloaded},   {"reclaimed", reclaimed},
	     {"toggled", toggled},     {"forked", forked},
	     {"tiny", tiny},           {"interrupted", interrupted}};

int main(int argc, char **argv)
{
	take_start(200000);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (argc == 2 && strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	CHECK(take_count() >= 3);
	return take_compare() != take_count();
}

/*
 * Frames that need more than a compiler: assembly whose rows compilers do not write, jumps,
 * handlers, other stacks.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "rows.h"
#include "take.h"

/* name: pushes what its prologue says, calls rows_next_by_function(rdi), and undoes it. */
#define ASSEMBLY(name, prologue, epilogue)                                                         \
	static void name(struct plan *);                                                           \
	__asm__(".text\n"                                                                          \
		".type " #name ", @function\n" #name ":\n"                                         \
		".cfi_startproc\n" prologue "call rows_next_by_function\n" epilogue "ret\n"        \
		".cfi_endproc\n"                                                                   \
		".size " #name ", .-" #name "\n")

void rows_next_by_function(struct plan *p)
{
	const struct step *s = &p->steps[p->at];
	ROWS_CALL(p, s);
}

/* The frame's base in RBX, in R12: a callee restores what leads to the caller. */
ASSEMBLY(base_in_rbx,
	 "push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_offset rbx, -16\n"
	 "mov %rsp, %rbx\n.cfi_def_cfa_register rbx\n"
	 "sub $64, %rsp\nand $-64, %rsp\n",
	 "mov %rbx, %rsp\n.cfi_def_cfa_register rsp\n"
	 "pop %rbx\n.cfi_adjust_cfa_offset -8\n.cfi_restore rbx\n");
ASSEMBLY(base_in_r12,
	 "push %r12\n.cfi_adjust_cfa_offset 8\n.cfi_offset r12, -16\n"
	 "lea 16(%rsp), %r12\n.cfi_def_cfa r12, 0\n"
	 "sub $128, %rsp\n",
	 "lea -16(%r12), %rsp\n.cfi_def_cfa rsp, 16\n"
	 "pop %r12\n.cfi_adjust_cfa_offset -8\n.cfi_restore r12\n");
/* Registers in an unusual order, and far from each other. */
ASSEMBLY(scattered,
	 "sub $504, %rsp\n.cfi_adjust_cfa_offset 504\n"
	 "mov %r15, 8(%rsp)\n.cfi_rel_offset r15, 8\n"
	 "mov %rbp, 200(%rsp)\n.cfi_rel_offset rbp, 200\n"
	 "mov %rbx, 496(%rsp)\n.cfi_rel_offset rbx, 496\n"
	 "xor %r15d, %r15d\nmov %rdi, %rbp\nnot %rbx\n",
	 "mov 8(%rsp), %r15\n.cfi_restore r15\n"
	 "mov 200(%rsp), %rbp\n.cfi_restore rbp\n"
	 "mov 496(%rsp), %rbx\n.cfi_restore rbx\n"
	 "add $504, %rsp\n.cfi_adjust_cfa_offset -504\n");
/* The CFA is the word at 8(%rsp): DW_CFA_def_cfa_expression {breg7 8, deref}. */
ASSEMBLY(cfa_in_memory,
	 "lea 8(%rsp), %rax\nsub $40, %rsp\n.cfi_adjust_cfa_offset 40\n"
	 "mov %rax, 8(%rsp)\n.cfi_remember_state\n.cfi_escape 0x0f,0x03,0x77,0x08,0x06\n"
	 "sub $0, %rsp\n",
	 "nop\n.cfi_restore_state\nadd $40, %rsp\n.cfi_adjust_cfa_offset -40\n");
/* RBP is data, and no frame's base. */
ASSEMBLY(data_in_rbp,
	 "push %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_offset rbp, -16\n"
	 "mov 16(%rdi), %rbp\n",
	 "pop %rbp\n.cfi_adjust_cfa_offset -8\n.cfi_restore rbp\n");

/* ---- jumps -------------------------------------------------------------------- */

static void NOINLINE jumped_to(struct plan *p)
{
	const struct step *s = &p->steps[p->at];
	sigjmp_buf here, *volatile outer = p->landing;
	const volatile uint32_t at = p->at;
	struct plan *volatile same = p;

	p->landing = &here;
	if (sigsetjmp(here, 1) == 0) {
		ROWS_CALL(p, s);
		same->landing = outer;
		return;
	}
	same->at = at;
	same->landing = outer;
	rows_running = same;
	rows_next_by_function(same);
	ROWS_HERE(104);
}

/* ---- handlers, other stacks ------------------------------------------------------ */

/* Neither jumps nor exceptions cross to another stack. */
struct crossing {
	sigjmp_buf *landing;
	int may_throw;
};

static struct crossing begin_crossing(struct plan *p)
{
	struct crossing c = {p->landing, p->may_throw};

	p->landing = NULL;
	p->may_throw = 0;
	p->depth++;
	return c;
}

static void end_crossing(struct plan *p, struct crossing c)
{
	p->landing = c.landing;
	p->may_throw = c.may_throw;
	p->depth--;
}

#define MOST_CROSSINGS 3

static void on_signal(int number)
{
	(void)number;
	rows_next_by_function(rows_running);
	ROWS_HERE(105);
}

/* On a coroutine's stack the kernel would not see that the handlers' stack is in use. */
static __thread volatile int is_on_alternate;

static void NOINLINE raise_on_alternate(void)
{
	is_on_alternate = 1;
	raise(SIGUSR1);
	is_on_alternate = 0;
}

static void NOINLINE handled(struct plan *p)
{
	struct crossing c = begin_crossing(p);

	if (p->depth > MOST_CROSSINGS)
		rows_next_by_function(p);
	else if (p->steps[p->at].data % 2 && !is_on_alternate)
		raise_on_alternate();
	else
		raise(SIGUSR2);
	end_crossing(p, c);
}

void special_start(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};

	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = SA_NODEFER;
	sigaction(SIGUSR2, &action, NULL);
}

#define STACK_BYTES (1024 * 1024) /* for the deepest plan */

void special_start_thread(void)
{
	stack_t stack = {.ss_size = STACK_BYTES};

	stack.ss_sp =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaltstack(&stack, NULL);
}

void special_end_thread(void)
{
	stack_t stack, none = {.ss_flags = SS_DISABLE};

	sigaltstack(&none, &stack);
	munmap(stack.ss_sp, STACK_BYTES);
}

static __thread ucontext_t home[MOST_CROSSINGS + 2];
static __thread void *coroutine_stacks[MOST_CROSSINGS + 2];

static void coroutine_begins(void)
{
	rows_next_by_function(rows_running);
	ROWS_HERE(106);
	swapcontext(&(ucontext_t){0}, &home[rows_running->depth]);
}

/* A stack is used again by the next coroutine, or is another one each time. */
static void NOINLINE coroutine(struct plan *p)
{
	struct crossing c = begin_crossing(p);
	static __thread ucontext_t contexts[MOST_CROSSINGS + 2];
	ucontext_t *context = &contexts[p->depth];
	void **stack = &coroutine_stacks[p->depth];

	if (p->depth > MOST_CROSSINGS) {
		rows_next_by_function(p);
		end_crossing(p, c);
		return;
	}
	if (*stack && p->steps[p->at].data % 3 == 0) {
		munmap(*stack, STACK_BYTES);
		*stack = NULL;
	}
	if (!*stack)
		*stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	getcontext(context);
	context->uc_stack = (stack_t){.ss_sp = *stack, .ss_size = STACK_BYTES};
	context->uc_link = NULL;
	makecontext(context, coroutine_begins, 0);
	swapcontext(&home[p->depth], context);
	end_crossing(p, c);
}

void special_end_coroutines(void)
{
	for (int i = 0; i < MOST_CROSSINGS + 2; i++)
		if (coroutine_stacks[i])
			munmap(coroutine_stacks[i], STACK_BYTES);
}

static void *thread_begins(void *plan)
{
	struct plan *p = plan;

	rows_running = p;
	special_start_thread();
	rows_next_by_function(p);
	special_end_thread();
	special_end_coroutines();
	return NULL;
}

static void NOINLINE threaded(struct plan *p)
{
	struct crossing c = begin_crossing(p);
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES + p->steps[p->at].bytes / 1024 * 4096);
	if (p->depth > MOST_CROSSINGS || p->steps[p->at].data % 4 ||
	    pthread_create(&thread, &attr, thread_begins, p))
		rows_next_by_function(p);
	else
		pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	end_crossing(p, c);
}

const struct rows_build rows_build_special = {"special",
					      4,
					      {scattered, data_in_rbp, jumped_to, threaded,
					       base_in_rbx, base_in_r12, cfa_in_memory, handled,
					       coroutine}};

/* See saferead.h. */
#include "unwind/saferead.h"

#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "base/arch.h"
#include "base/libc.h"
#include "base/sys.h"
#include "go/goarena.h"
#include "go/gomodules.h"
#include "unwind/descriptor.h"

/* ---- a thread's stack ----------------------------------------------------- */

/*
 * The kernel puts the program's name at the top of the first thread's stack.  It keeps
 * mappings below the stack's limit, and at least this far below the top
 * (arch/x86/mm/mmap.c, mmap_base).  The stack mapping grows down and never shrinks, so it
 * is present from the lowest place that ever ran to the top.
 */
#define FIRST_STACK_BYTES (128 * MIB)
static uint64_t first_top, first_bytes, first_lowest = UINT64_MAX;

static bool on_first_stack(uint64_t address)
{
	return first_top - address <= LOAD(&first_bytes);
}

static void note_running_on_first(uint64_t sp)
{
	lower_to(&first_lowest, sp);
}

static __thread struct {
	uint64_t start, top; /* empty: not known, or lost */
	bool is_certain;
} own_stack __attribute__((tls_model("initial-exec")));

static const struct descriptor_stack no_stack = {1, 1};

static void set_thread_stack(struct descriptor_stack stack)
{
	STORE(&own_stack.start, stack.start);
	STORE(&own_stack.top, stack.top);
}

/* What is lost since a first answer remains lost. */
static __attribute__((noinline)) void look_up_thread_stack(void)
{
	bool is_certain = descriptor_is_learnt();
	uint64_t start = own_stack.start, top = own_stack.top;
	struct descriptor_stack found;

	if (descriptor_stack(arch_thread_pointer(), &found) || (top && top <= start)) {
		if (ARCH_DESCRIPTOR_BELOW && !is_certain && !top)
			return; /* an answer needs the place, which is not known yet */
		found = no_stack;
	} else if (top && start > found.start)
		found.start = start;
	set_thread_stack(found);
	STORE(&own_stack.is_certain, is_certain);
}

/* Found once per thread, and again once it can be certain; empty if libc did not make it. */
static struct descriptor_stack thread_stack(void)
{
	if (unlikely(!LOAD(&own_stack.top) ||
		     (!LOAD(&own_stack.is_certain) && descriptor_is_learnt())))
		look_up_thread_stack();
	return (struct descriptor_stack){own_stack.start, own_stack.top};
}

/*
 * The new start of the usable range [start, top) without lost.  If the thread runs above
 * lost, the part above lost remains.  If it runs below (a coroutine in an array on the
 * thread's stack, between guards), nothing does.
 */
static uint64_t start_without(const struct saferead_range *lost, uint64_t start, uint64_t top,
			      uint64_t sp)
{
	uint64_t end = lost->start + lost->bytes;

	if (end <= start || lost->start >= top)
		return start;
	return end <= sp ? end : top;
}

/* Whether this is likely of the thread's stack, which ends there, where that is not known yet. */
#define USUAL_STACK_BYTES (8 * MIB)
static bool is_near_below(const struct saferead_range *lost, uint64_t top)
{
	return lost->start < top && top - lost->start < USUAL_STACK_BYTES;
}

void saferead_lose(uint64_t start, uint64_t bytes)
{
	struct saferead_range lost = {start, bytes};
	struct descriptor_stack own = thread_stack();
	uint64_t sp = (uint64_t)__builtin_frame_address(0), from;

	if (unlikely(start + bytes < start))
		return;
	if (unlikely(!own.top && is_near_below(&lost, arch_thread_pointer())))
		set_thread_stack(no_stack);
	if (unlikely(own.top > own.start &&
		     (from = start_without(&lost, own.start, own.top, sp)) != own.start))
		set_thread_stack(from < own.top ? (struct descriptor_stack){from, own.top}
						: no_stack);
	if (!on_first_stack(sp))
		sp = LOAD(&first_lowest);
	from = start_without(&lost, first_top - LOAD(&first_bytes), first_top, sp);
	lower_to(&first_bytes, first_top - from);
}

uint64_t saferead_stack_room(uint64_t sp)
{
	struct descriptor_stack own = thread_stack();

	if (sp - own.start < own.top - own.start)
		return sp - own.start;
	return on_first_stack(sp) ? sp - (first_top - LOAD(&first_bytes)) : 0;
}

/* ---- the ranges of a walk ----------------------------------------------- */

static struct saferead_range range_of(uint64_t start, uint64_t end)
{
	start = ALIGN_UP(start, UINT64_C(8));
	return (struct saferead_range){start, end > start ? (end - start) & ~UINT64_C(7) : 0};
}

static uint64_t page_of(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_BYTES - 1);
}

static uint64_t chunk_end(uint64_t address)
{
	return (address | (GOARENA_CHUNK_BYTES - 1)) + 1;
}

/* False: a stack of unknown size. */
static bool known_stack(uint64_t sp, uint64_t first_from, struct saferead_range *out)
{
	struct descriptor_stack own = thread_stack();

	if (sp - own.start < own.top - own.start)
		*out = range_of(sp, own.top);
	else if (on_first_stack(sp) && sp >= first_from)
		*out = range_of(sp, first_top);
	else if (goarena_holds(sp, 8))
		*out = range_of(sp, chunk_end(sp));
	else
		return false;
	return true;
}

/* On any stack, and where the thread's is not looked up yet. */
static __attribute__((noinline)) void init_elsewhere(struct saferead *m, uint64_t sp)
{
	m->top_is_known = known_stack(sp, 0, &m->stack);
	if (!m->top_is_known)
		m->stack = range_of(sp, page_of(sp) + PAGE_BYTES);
	if (on_first_stack(sp))
		note_running_on_first(sp);
}

void saferead_init(struct saferead *m, uint64_t sp, struct saferead_copy *copies)
{
	struct descriptor_stack own = {LOAD(&own_stack.start), LOAD(&own_stack.top)};

	m->goroutine = (struct saferead_range){0, 0};
	m->next = 0;
	m->copies = copies;
	for (size_t i = 0; i < SAFEREAD_COPIES && copies; i++)
		copies[i].page = 0;
	m->top_is_known = true;
	if (unlikely(!LOAD(&own_stack.is_certain)))
		return init_elsewhere(m, sp);
	if (likely(sp - own.start < own.top - own.start)) {
		m->stack = range_of(sp, own.top);
	} else if (likely(on_first_stack(sp))) {
		note_running_on_first(sp);
		m->stack = range_of(sp, first_top);
	} else {
		init_elsewhere(m, sp);
	}
}

/*
 * Where the red zone below an interrupted function's stack pointer starts, as far as it is
 * certainly mapped. The kernel leaves it alone. In an epilogue, rows of gcc's say of registers that
 * have been popped already that they are there.
 */
static uint64_t red_zone(uint64_t sp)
{
	struct descriptor_stack own = thread_stack();
	uint64_t mapped = page_of(sp);

	if (sp - own.start < own.top - own.start)
		mapped = own.start;
	else if (on_first_stack(sp) && LOAD(&first_lowest) < mapped)
		mapped = LOAD(&first_lowest);
	return sp - mapped > ARCH_RED_ZONE ? sp - ARCH_RED_ZONE : mapped;
}

void saferead_go_on_at(struct saferead *m, uint64_t sp)
{
	struct saferead_range range;

	m->top_is_known = known_stack(sp, LOAD(&first_lowest), &range);
	if (m->top_is_known)
		m->stack = range_of(red_zone(sp), range.start + range.bytes);
}

bool saferead_on_goroutine(struct saferead *m, uint64_t lo, uint64_t hi)
{
	if (!goarena_holds(lo, hi - lo))
		return false;
	m->goroutine = range_of(lo, hi);
	return true;
}

void saferead_on_own_goroutine(struct saferead *m, uint64_t lo, uint64_t hi)
{
	m->goroutine = range_of(lo, hi);
}

/* ---- memory outside these stacks ------------------------------------------ */

static uint64_t tls_bytes;

/* Go's code and data are never unloaded, and its heap is never unmapped. */
static bool is_lasting(uint64_t address, uint64_t bytes)
{
	return goarena_holds(address, bytes) || gomodules_hold(address, bytes);
}

static bool in_tls(uint64_t address)
{
	return arch_is_in_tls(address, tls_bytes);
}

uint64_t saferead_tls_bytes(void)
{
	return tls_bytes;
}

static int add_tls_bytes(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size, (void)unused;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			tls_bytes += info->dlpi_phdr[i].p_memsz & ~UINT64_C(7);
	return 0;
}

void saferead_start(void)
{
	struct rlimit most = {.rlim_cur = 8 * MIB}; /* the usual limit, if the call fails */

	descriptor_init();
	first_top = getauxval(AT_EXECFN) & ~UINT64_C(7);
	sys_call(prlimit64, 0, RLIMIT_STACK, NULL, &most);
	first_bytes = most.rlim_cur < FIRST_STACK_BYTES ? most.rlim_cur : FIRST_STACK_BYTES;
	tls_bytes = 0;
	libc_iterate_phdr(add_tls_bytes, NULL);
}

/*
 * A thread may have installed a filter for itself, and only that thread can know.  So at
 * the default interval and coarser ones a hook makes no system call, even if that loses
 * frames (sample.c).
 */
static bool may_copy;

void saferead_allow_copies(bool allow)
{
	STORE(&may_copy, allow);
}

/* Not inlined, so that shim/hook/hooks.allowed can name it. */
__attribute__((noinline)) int saferead_copy(uint64_t address, void *to, uint64_t bytes)
{
	struct iovec into = {to, bytes}, from = {(void *)address, bytes};

	if (!LOAD(&may_copy))
		return -1;
	return sys_rare(process_vm_readv, sys_getpid(), &into, 1, &from, 1) == (long)bytes ? 0 : -1;
}

static const struct saferead_copy *copy_of(struct saferead *m, uint64_t page)
{
	for (size_t i = 0; i < SAFEREAD_COPIES; i++)
		if (m->copies[i].page == page)
			return &m->copies[i];
	struct saferead_copy *copy = &m->copies[m->next];
	m->next = (m->next + 1) % SAFEREAD_COPIES;
	copy->page = 0;
	if (saferead_copy(page, copy->words, PAGE_BYTES))
		return NULL;
	copy->page = page;
	return copy;
}

__attribute__((noinline, no_sanitize("address"))) bool saferead_read_elsewhere(struct saferead *m,
									       uint64_t address,
									       uint64_t *word)
{
	if (is_lasting(address, 8) || in_tls(address)) {
		*word = LOAD((const uint64_t *)address);
		return true;
	}
	if (m->top_is_known || !m->copies || page_of(address) == 0)
		return false;
	const struct saferead_copy *copy = copy_of(m, page_of(address));
	if (!copy)
		return false;
	*word = copy->words[(address & (PAGE_BYTES - 1)) / 8];
	return true;
}

bool saferead_holds(const struct saferead *m, uint64_t address, uint64_t bytes)
{
	const struct saferead_range *ranges[] = {&m->stack, &m->goroutine};

	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		if (address - ranges[i]->start < ranges[i]->bytes &&
		    bytes <= ranges[i]->bytes - (address - ranges[i]->start))
			return bytes != 0;
	return is_lasting(address, bytes);
}

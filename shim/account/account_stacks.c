/*
 * Finds thread stacks by what libc leaves in them: those of threads whose creation no hook saw
 * (libc's threads for timers and asynchronous I/O, and threads from before the shim started),
 * and those of ended threads that libc keeps.
 *
 * If libc creates the stack, the thread's descriptor is at its upper end (nptl/allocatestack.c).
 * It begins with its own address twice (tcbhead_t: tcb and self), and contains the stack guard
 * word, which is the same in all threads of a process. musl's descriptor, a little below the end,
 * has the first and the third of these, and what musl mapped (descriptor.h).
 */
#include "base/arch.h"
#include "base/libc.h"
#include "base/selfmem.h"
#include "unwind/descriptor.h"
#include "account/account_job.h"

/* The maximum distance of the thread's descriptor from the end of the stack. */
#define STACK_TOP_BYTES (2 * PAGE_BYTES)

/* A smaller mapping is not a stack. If there are more mappings than the limit below, the rest
 * is not searched. */
#define MIN_STACK_BYTES (4 * PAGE_BYTES)
#define MAX_LOOKS       16384

enum { TCB = 0, SELF = 2, STACK_GUARD = 5, TCB_WORDS = 6 };

static bool is_of_glibc(const uint64_t *words, size_t count, uint64_t descriptor)
{
	return count >= TCB_WORDS && words[SELF] == descriptor;
}

/* What lies behind the end is another mapping that the kernel has merged with this one. */
static bool is_of_musl(const uint64_t *words, size_t count, uint64_t descriptor, uint64_t end)
{
	struct descriptor_stack mapping;
	return count >= DESCRIPTOR_MUSL_WORDS &&
	       descriptor_musl_mapping(words, descriptor, &mapping) == 0 && mapping.top == end;
}

static bool has_descriptor(uint64_t page, uint64_t end)
{
	uint64_t words[PAGE_BYTES / 8];
	bool is_musl = libc_kind() == LIBC_MUSL;
	if (selfmem_read(page, words, sizeof(words)))
		return false;
	for (size_t i = 0; i + TCB_WORDS <= COUNT_OF(words); i++)
		if (words[i + TCB] == page + i * 8 &&
		    words[i + STACK_GUARD] == arch_stack_guard() &&
		    (is_musl ? is_of_musl(words + i, COUNT_OF(words) - i, page + i * 8, end)
			     : is_of_glibc(words + i, COUNT_OF(words) - i, page + i * 8)))
			return true;
	return false;
}

bool account_stacks_is_one(uint64_t start, uint64_t end)
{
	for (uint64_t page = end - PAGE_BYTES; page >= start && end - page <= STACK_TOP_BYTES;
	     page -= PAGE_BYTES)
		if (has_descriptor(page, end))
			return true;
	return false;
}

struct search {
	struct account_job *job;
	size_t looks;
	bool ok;
};

static void look(void *arg, uint64_t start, uint64_t end, const struct rangeset_range *claim)
{
	struct search *s = arg;
	if (claim || end - start < MIN_STACK_BYTES || s->looks++ >= MAX_LOOKS ||
	    !account_stacks_is_one(start, end))
		return;
	s->ok &= rangeset_add(s->job->scratch, &s->job->stacks, start, end, OWNER_THREAD_STACKS,
			      0) == 0;
	s->job->out->thread_stacks_count++;
}

int account_stacks_find(struct account_job *job)
{
	struct search s = {.job = job, .ok = true};
	for (size_t i = 0; i < job->anonymous.count; i++)
		account_ranges_cut(job, job->anonymous.list[i].start, job->anonymous.list[i].end,
				   look, &s);
	return s.ok && rangeset_sort(job->scratch, &job->stacks) == 0 ? 0 : -1;
}

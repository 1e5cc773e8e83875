/*
 * Thread stacks by what libc leaves in them: those of threads that no hook saw made
 * (timers' and asynchronous I/O's, which libc makes by itself; threads of before the
 * shim began), and those whose thread has ended and that libc keeps.
 *
 * Where libc makes the stack, the thread's descriptor is at its upper end
 * (nptl/allocatestack.c).  It begins with its own address twice (tcbhead_t: tcb and
 * self), and has the word that guards stacks against overflow, which is one and the
 * same in all threads of a process.
 */
#include "base/arch.h"
#include "base/selfmem.h"
#include "account/account_job.h"

/* Where in a stack its thread's descriptor begins: at most so far from the end. */
#define STACK_TOP_BYTES (2 * PAGE_BYTES)

/* Less is no stack, and of more mappings than these the rest is not looked at. */
#define MIN_STACK_BYTES (4 * PAGE_BYTES)
#define MAX_LOOKS       16384

enum { TCB = 0, SELF = 2, STACK_GUARD = 5, TCB_WORDS = 6 };

static bool has_descriptor(uint64_t page)
{
	uint64_t words[PAGE_BYTES / 8];
	if (!selfmem_read(page, words, sizeof(words)))
		return false;
	for (size_t i = 0; i + TCB_WORDS <= COUNT_OF(words); i += 2)
		if (words[i + TCB] == page + i * 8 && words[i + SELF] == words[i + TCB] &&
		    words[i + STACK_GUARD] == arch_stack_guard())
			return true;
	return false;
}

bool account_stacks_is_one(uint64_t start, uint64_t end)
{
	for (uint64_t page = end - PAGE_BYTES; page >= start && end - page <= STACK_TOP_BYTES;
	     page -= PAGE_BYTES)
		if (has_descriptor(page))
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
	s->ok &= rangeset_add(s->job->scratch, &s->job->stacks, start, end, OWNER_THREAD_STACKS, 0);
	s->job->out->thread_stacks_count++;
}

int account_stacks_find(struct account_job *job)
{
	struct search s = {.job = job, .ok = true};
	for (size_t i = 0; i < job->anonymous.count; i++)
		account_ranges_cut(job, job->anonymous.list[i].start, job->anonymous.list[i].end,
				   look, &s);
	return s.ok && rangeset_sort(job->scratch, &job->stacks) ? 0 : -1;
}

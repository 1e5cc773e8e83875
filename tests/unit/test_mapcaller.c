/*
 * Classifies callers of mmap. Go's symbols are doubles here: a table of functions as on the
 * runtime's stacks (Go 1.21 to 1.27, go tool objdump and gdb).
 */
#include "child.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "go/gosym.h"
#include "hook/mapcaller.h"

/* ---- Go's symbols ----------------------------------------------------- */

#define GO_TEXT      UINT64_C(0x400000)
#define GO_FUNCTIONS 16

/* The function at GO_TEXT + 0x100 * i, followed by what it inlines. */
static const char *functions[GO_FUNCTIONS][3];

static size_t function_at(uint64_t pc)
{
	return (size_t)((pc - GO_TEXT) / 0x100);
}

bool gosym_is_go(void)
{
	return functions[0][0];
}

bool gosym_in_text(uint64_t pc)
{
	return pc >= GO_TEXT && pc < GO_TEXT + 0x100 * GO_FUNCTIONS;
}

bool gosym_find(uint64_t pc, struct gosym_func *out)
{
	const char *const *names;
	size_t last = 0;

	if (!gosym_in_text(pc) || !functions[function_at(pc)][0])
		return false;
	names = functions[function_at(pc)];
	while (last < 2 && names[last + 1])
		last++;
	*out = (struct gosym_func){.name = names[last]};
	return true;
}

/* A stack of these Go functions, innermost first, below mmap and x_cgo_mmap. "a<b": a inlined in b.
 */
static struct capture stack_of(const char *const *names)
{
	static char copies[GO_FUNCTIONS][128];
	struct capture c = {.count = 2, .frames = {0x10001, 0x20002}};

	memset(functions, 0, sizeof(functions));
	for (size_t i = 0; names[i]; i++) {
		char *rest = copies[i];
		strcpy(rest, names[i]);
		for (size_t n = 0; rest; n++)
			functions[i][n] = strsep(&rest, "<");
		c.frames[c.count++] = GO_TEXT + 0x100 * i + 0x80;
	}
	return c;
}

#define KIND(usable, ...)                                                                          \
	({                                                                                         \
		struct capture stack = stack_of((const char *const[]){__VA_ARGS__, NULL});         \
		mapcaller_kind(&stack, usable);                                                    \
	})

/* ---- Go's purposes ---------------------------------------------------- */

static void arenas_are_heap(void)
{
	CHECK(KIND(false, "runtime.callCgoMmap", "runtime.mmap.func1", "runtime.mmap",
		   "runtime.sysReserveOS<runtime.sysReserve", "runtime.(*mheap).sysAlloc",
		   "runtime.(*mheap).grow", "runtime.(*mheap).allocSpan") == MAPPINGS_GO_HEAP);
	CHECK(KIND(false, "runtime.callCgoMmap", "runtime.mmap.func1", "runtime.mmap",
		   "runtime.sysReserve<runtime.sysReserveAligned<runtime.(*mheap).sysAlloc",
		   "runtime.(*mheap).grow") == MAPPINGS_GO_HEAP);
}
CASE(arenas_are_heap)

static void what_describes_arenas_is_metadata(void)
{
	/* The same function requests a heapArena, usable at once. */
	CHECK(KIND(true, "runtime.callCgoMmap", "runtime.mmap",
		   "runtime.sysAllocOS<runtime.sysAlloc", "runtime.(*mheap).sysAlloc",
		   "runtime.(*mheap).grow") == MAPPINGS_GO_METADATA);
	/* The requesting function is further in than what it requests. */
	CHECK(KIND(false, "runtime.callCgoMmap", "runtime.mmap", "runtime.sysReserve",
		   "runtime.(*pageAlloc).sysInit",
		   "runtime.(*mheap).grow") == MAPPINGS_GO_METADATA);
	CHECK(KIND(true, "runtime.callCgoMmap", "runtime.mmap", "runtime.sysAlloc",
		   "runtime.persistentalloc1", "runtime.persistentalloc.func1",
		   "runtime.systemstack", "runtime.persistentalloc<runtime.(*mheap).sysAlloc",
		   "runtime.(*mheap).grow") == MAPPINGS_GO_METADATA);
	CHECK(KIND(true, "runtime.callCgoMmap", "runtime.mmap", "runtime.sysAlloc",
		   "runtime.newMarkBits") == MAPPINGS_GO_METADATA);
	/* A stack that ended early. */
	CHECK(KIND(false, "runtime.callCgoMmap") == MAPPINGS_GO_METADATA);
}
CASE(what_describes_arenas_is_metadata)

/* Go code that calls C code that maps counts as C: the runtime's call has a fixed form. */
static void c_called_by_go_is_c(void)
{
	CHECK(KIND(true, "runtime.asmcgocall.abi0", "runtime.cgocall", "main._Cfunc_map",
		   "main.main") == MAPPINGS_C);
	CHECK(KIND(true, "main.f", "runtime.callCgoMmap") == MAPPINGS_C);
	struct capture none = {.count = 1, .frames = {0x10001}};
	CHECK(mapcaller_kind(&none, true) == MAPPINGS_C);
	memset(functions, 0, sizeof(functions));
	struct capture no_go = {.count = 3, .frames = {0x10001, 0x20002, GO_TEXT + 0x80}};
	CHECK(mapcaller_kind(&no_go, true) == MAPPINGS_C);
	CHECK(!mapcaller_is_go(0x20002));
}
CASE(c_called_by_go_is_c)

static void the_first_go_mapping_teaches_its_caller(void)
{
	CHECK(!mapcaller_is_go(0x20002) && !mapcaller_is_go(0));
	KIND(true, "runtime.callCgoMmap", "runtime.mmap");
	CHECK(mapcaller_is_go(0x20002) && !mapcaller_is_go(0x20003) && !mapcaller_is_go(0));
}
CASE(the_first_go_mapping_teaches_its_caller)

/* ---- the allocator ---------------------------------------------------- */

static struct {
	uint64_t start, end, inside;
} module;

/* Its extent according to the loader. */
static int find_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t start = UINT64_MAX, end = 0;

	(void)size, (void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD)
			continue;
		if (info->dlpi_addr + p->p_vaddr < start)
			start = info->dlpi_addr + p->p_vaddr;
		if (info->dlpi_addr + p->p_vaddr + p->p_memsz > end)
			end = info->dlpi_addr + p->p_vaddr + p->p_memsz;
	}
	if (module.inside < start || module.inside >= end)
		return 0;
	module.start = start;
	module.end = end;
	return 1;
}

static void the_allocators_module_is_known(void)
{
	void *mimalloc = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_GLOBAL);

	if (!mimalloc)
		mimalloc = dlopen("libmimalloc.so.3", RTLD_NOW | RTLD_GLOBAL);
	CHECK(mimalloc);
	module.inside = (uint64_t)dlsym(mimalloc, "mi_malloc");
	CHECK(module.inside && dl_iterate_phdr(find_module, NULL) == 1);
	mapcaller_init(module.inside);
	CHECK(mapcaller_is_allocator(module.inside));
	CHECK(mapcaller_is_allocator(module.start) && mapcaller_is_allocator(module.end - 1));
	CHECK(!mapcaller_is_allocator(module.start - 1) && !mapcaller_is_allocator(module.end));
	CHECK(!mapcaller_is_allocator((uint64_t)malloc) && !mapcaller_is_allocator(0));
}
CASE(the_allocators_module_is_known)

/* A library with malloc but no statistics may map for any purpose. */
static void one_without_statistics_is_c(void)
{
	uint64_t inside = (uint64_t)dlsym(RTLD_DEFAULT, "cmocka_set_message_output");
	CHECK(inside);
	mapcaller_init(inside);
	CHECK(!mapcaller_is_allocator(inside) && !dlerror());
}
CASE(one_without_statistics_is_c)

static void libc_is_not_an_allocator(void)
{
	uint64_t in_libc = (uint64_t)dlsym(RTLD_DEFAULT, "gnu_get_libc_version");

	mapcaller_init(in_libc);
	CHECK(!mapcaller_is_allocator(in_libc));
	mapcaller_init(0x1234);
	CHECK(!mapcaller_is_allocator(0x1234) && !mapcaller_is_allocator(0));
}
CASE(libc_is_not_an_allocator)

#define T(name) cmocka_unit_test(test_##name)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(arenas_are_heap),
		T(what_describes_arenas_is_metadata),
		T(c_called_by_go_is_c),
		T(the_first_go_mapping_teaches_its_caller),
		T(the_allocators_module_is_known),
		T(one_without_statistics_is_c),
		T(libc_is_not_an_allocator),
	};
	return cmocka_run_group_tests_name("mapcaller", tests, NULL, NULL);
}

/* See loaded.h. */
#include "base/loaded.h"

#include <dlfcn.h>
#include <string.h>

#include "base/ascii.h"
#include "base/dynsym.h"
#include "base/libc.h"
#include "base/lock.h"
#include "base/sys.h"

/* struct dl_find_object (dlfcn.h, glibc 2.35), for older headers. */
struct found_object {
	uint64_t flags;
	const void *map_start, *map_end;
	const struct link_map *link_map;
	const void *eh_frame;
	uint64_t reserved[7];
};

/* Looked up, because even a weak reference would require that loader version. */
static int (*find_object)(void *address, struct found_object *result);

/* From the program headers, which every linker puts in the first page. */
static bool module_of_object(const struct found_object *object, struct code_module *out)
{
	const ElfW(Ehdr) *header = object->map_start;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff % 8 ||
	    header->e_phoff + (uint64_t)header->e_phnum * sizeof(ElfW(Phdr)) > PAGE_BYTES)
		return false;
	*out = (struct code_module){.headers =
					    (const void *)((const char *)header + header->e_phoff),
				    .count = header->e_phnum,
				    .table = (uint64_t)object->eh_frame};
	for (size_t i = 0; i < out->count; i++)
		if (out->headers[i].p_type == PT_LOAD) {
			out->bias = (uint64_t)header -
				    (out->headers[i].p_vaddr & ~(uint64_t)(PAGE_BYTES - 1));
			return true;
		}
	return false;
}

/* ---- the table: for a glibc that does not answer itself ------------------- */

#define MODULES_MAX 8192

struct entry {
	uint64_t start, end;
	struct code_module module;
};

/* Two lists: one is read, the other is filled. */
static struct {
	struct lock lock;                  /* to publish; never while the loader is asked */
	uint32_t version;                  /* the lowest bit says which list is read */
	bool is_kept;                      /* glibc does not answer itself */
	bool is_old;                       /* dlopen was called since it was read */
	bool is_doubtful;                  /* an address was not found */
	unsigned long long loads, unloads; /* the loader's counters when it was read */
	uint32_t count[2];
	struct entry list[2][MODULES_MAX];
} table;
/* The modules that were loaded at the start, and those that may be listed. */
static uint32_t first, most = MODULES_MAX;

static void (*on_added)(uint64_t start);

/* What dladdr calls, in libc since 2.4: it takes the lock that dlopen holds. */
static int (*address_info)(const void *, Dl_info *, struct link_map **, const ElfW(Sym) **);

static bool search(uint32_t version, uint64_t address, struct entry *out)
{
	const struct entry *list = table.list[version & 1];
	uint32_t count = LOAD(&table.count[version & 1]);

	for (uint32_t i = 0; i < count && i < LOAD(&most); i++)
		if (address >= LOAD(&list[i].start) && address < LOAD(&list[i].end)) {
			*out = list[i];
			return true;
		}
	return false;
}

/* The list may be filled again while it is read: then the version has changed. */
static bool find_in_table(uint64_t address, struct code_module *out)
{
	struct entry found;

	for (int tries = 0; tries < 4; tries++) {
		uint32_t version = LOAD_ACQ(&table.version);
		bool is_found = search(version, address, &found);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (LOAD(&table.version) != version)
			continue;
		if (is_found)
			*out = found.module;
		else
			STORE(&table.is_doubtful, true);
		return is_found;
	}
	return false;
}

bool loaded_find(uint64_t address, struct code_module *out)
{
	struct found_object object;

	if (!find_object)
		return find_in_table(address, out);
	return find_object((void *)address, &object) == 0 && module_of_object(&object, out);
}

void loaded_will_change(void)
{
	if (LOAD(&table.is_kept))
		STORE(&table.is_old, true);
}

void loaded_will_change_unseen(void)
{
	STORE(&most, LOAD(&first));
}

bool loaded_is_old(void)
{
	return LOAD(&table.is_old);
}

bool loaded_is_watched(void)
{
	return LOAD(&table.is_kept);
}

bool loaded_is_doubtful(void)
{
	return LOAD(&table.is_doubtful) || LOAD(&table.is_old);
}

/* ---- reading it -------------------------------------------------------------- */

struct reading {
	struct entry *list;
	uint32_t count;
	unsigned long long loads, unloads;
};

static struct entry entry_of(const struct dl_phdr_info *info)
{
	struct entry e = {.start = UINT64_MAX,
			  .module = {info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr, 0}};

	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t at = info->dlpi_addr + p->p_vaddr;
		if (p->p_type == PT_GNU_EH_FRAME)
			e.module.table = at;
		if (p->p_type != PT_LOAD)
			continue;
		e.start = at < e.start ? at : e.start;
		e.end = at + p->p_memsz > e.end ? at + p->p_memsz : e.end;
	}
	return e;
}

/* Converters of iconv: libc closes them without a call of dlclose that we could see. */
static bool is_closed_by_libc(const char *name)
{
	for (; name && *name; name++)
		if (ascii_begins(name, "/gconv/"))
			return true;
	return false;
}

static int read_counters(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct reading *r = arg;

	(void)size;
	r->loads = info->dlpi_adds;
	r->unloads = info->dlpi_subs;
	return 1;
}

static int read_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct reading *r = arg;

	read_counters(info, size, arg);
	if (r->count < LOAD(&most) && !is_closed_by_libc(info->dlpi_name))
		r->list[r->count++] = entry_of(info);
	return 0;
}

/*
 * A library is in the loader's list before its dlopen is sure to succeed. One that is still there
 * when the lock that dlopen holds has been free, with nothing unloaded in between, stays until
 * dlclose. -1: something was unloaded.
 */
static int read_all(struct reading *r)
{
	struct reading after = {0};
	Dl_info info;

	libc_iterate_phdr(read_module, r);
	if (address_info)
		address_info((const void *)read_all, &info, NULL, NULL);
	libc_iterate_phdr(read_counters, &after);
	return after.unloads == r->unloads ? 0 : -1;
}

/* Not if another thread has published a later reading. */
static int publish(const struct reading *r)
{
	int result = -1;

	lock_take(&table.lock);
	if (r->loads >= table.loads && r->unloads >= table.unloads) {
		uint32_t next = table.version + 1;
		/* Whoever reads from the list what follows sees that its version is over. */
		__atomic_thread_fence(__ATOMIC_RELEASE);
		memcpy(table.list[next & 1], r->list, r->count * sizeof(*r->list));
		STORE(&table.count[next & 1], r->count);
		table.loads = r->loads;
		table.unloads = r->unloads;
		STORE_REL(&table.version, next);
		result = 0;
	}
	lock_release(&table.lock);
	return result;
}

/*
 * Whether a module of a later reading was in this one; *next begins at 0. Both are in the loader's
 * order, in which a library keeps its place until it is unloaded, and new ones come last.
 */
static bool has(const struct reading *before, uint32_t *next, uint64_t start)
{
	while (*next < before->count && before->list[*next].start != start)
		(*next)++;
	return *next < before->count;
}

/* Takes out what was not in the table: it may be in the middle of its dlopen. */
static void keep_known(struct reading *r, const struct reading *before)
{
	uint32_t kept = 0, next = 0;

	for (uint32_t i = 0; i < r->count; i++)
		if (has(before, &next, r->list[i].start))
			r->list[kept++] = r->list[i];
	if (kept != r->count)
		loaded_will_change();
	r->count = kept;
}

/* Returns whether there are any. */
static bool tell_of_added(const struct reading *r, const struct reading *before)
{
	uint32_t next = 0;
	bool any = false;

	for (uint32_t i = 0; i < r->count; i++) {
		if (has(before, &next, r->list[i].start))
			continue;
		any = true;
		if (on_added)
			on_added(r->list[i].start);
	}
	return any;
}

/* A private copy of what is in the table. */
static struct reading read_table(struct entry *room)
{
	struct reading r = {.list = room};

	lock_take(&table.lock);
	r.count = table.count[table.version & 1];
	r.loads = table.loads;
	r.unloads = table.unloads;
	memcpy(room, table.list[table.version & 1], r.count * sizeof(*room));
	lock_release(&table.lock);
	return r;
}

#define TRIES      3
#define ROOM_BYTES (2 * MODULES_MAX * sizeof(struct entry))

static bool update_with(struct entry *room)
{
	struct reading before = read_table(room + MODULES_MAX);

	for (int tries = 0; tries < TRIES; tries++) {
		struct reading r = {.list = room};
		STORE(&table.is_old, false);
		STORE(&table.is_doubtful, false);
		if (read_all(&r) || publish(&r))
			continue;
		return tell_of_added(&r, &before) || r.unloads != before.unloads;
	}
	loaded_will_change();
	return true;
}

bool loaded_update(void)
{
	struct entry *room = table.is_kept ? sys_map_anonymous(ROOM_BYTES) : NULL;

	if (!room)
		return false;
	bool has_changed = update_with(room);
	sys_unmap(room, ROOM_BYTES);
	return has_changed;
}

/* Without memory to read the loader's list. */
static void forget_all(void)
{
	lock_take(&table.lock);
	STORE(&table.count[(table.version + 1) & 1], 0);
	STORE_REL(&table.version, table.version + 1);
	lock_release(&table.lock);
	loaded_will_change();
}

void loaded_forget(void)
{
	struct entry *room;

	if (!table.is_kept)
		return;
	room = sys_map_anonymous(ROOM_BYTES);
	if (!room) {
		forget_all();
		return;
	}
	struct reading before = read_table(room + MODULES_MAX), r = {.list = room};
	libc_iterate_phdr(read_module, &r);
	keep_known(&r, &before);
	publish(&r);
	sys_unmap(room, ROOM_BYTES);
}

void loaded_init(void)
{
	/* In libc, unless a release moves it to the loader, whose variables it reads. */
	if (!find_object)
		find_object = (__typeof__(find_object))dynsym_libc("_dl_find_object");
	if (!find_object)
		find_object = (__typeof__(find_object))dynsym_loader("_dl_find_object");
	if (find_object || table.is_kept)
		return;
	address_info = (__typeof__(address_info))dynsym_libc("_dl_addr");
	table.is_kept = true;
	loaded_update();
	first = table.count[table.version & 1];
}

void loaded_on_added(void (*added)(uint64_t start))
{
	on_added = added;
}

void loaded_after_fork_in_child(void)
{
	table.lock = (struct lock){0};
}

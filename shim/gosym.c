/*
 * Go's pclntab, read in the memory of the program it describes.
 *
 * Section headers and symbols may be stripped, and the tables' sections move
 * between releases (.gopclntab, .data.rel.ro, .go.module), so everything starts
 * from the program headers: runtime.firstmoduledata is found in the writable
 * data by its shape, and it says where each table starts and how long it is.
 *
 * No pointer into the tables is ever formed from an unchecked offset: all reads
 * pass through `struct table`, which knows its length.  That costs a compare a
 * read and lets a hook, a signal handler or a fuzzer ask about any pc.
 *
 * Layouts: cmd/link/internal/ld/pcln.go writes them, runtime/symtab.go and
 * runtime/symtabinl.go read them.
 */
#include <assert.h>
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

#include "gosym.h"

/* runtime.pcHeader's first 8 bytes: magic, 0, 0, the instruction quantum, the pointer size. */
#define HEADER_GO_1_18 UINT64_C(0x08010000fffffff0)
#define HEADER_GO_1_20 UINT64_C(0x08010000fffffff1)

/* runtime.moduledata as far as it is the same in Go 1.18 to 1.27. */
struct go_slice {
	uint64_t start, len, cap;
};
struct moduledata {
	uint64_t header;
	struct go_slice names, cutab, filetab, pctab, pclntable, ftab;
	uint64_t findfunctab, minpc, maxpc, text, etext;
	uint64_t later[22]; /* segments, types, rodata, gofunc: they moved, see gofunc_start */
} __attribute__((may_alias));

static_assert(offsetof(struct moduledata, ftab) == 128, "runtime/symtab.go, moduledata");
static_assert(offsetof(struct moduledata, etext) == 184, "runtime/symtab.go, moduledata");

struct pc_header {
	uint64_t magic, nfunc, nfiles, text_start /* 0 since 1.26 */, names_offset;
} __attribute__((may_alias));

/* runtime._func: offsets of the fields that are used. */
enum {
	FUNC_NAME = 4,
	FUNC_PCFILE = 20,
	FUNC_PCLN = 24,
	FUNC_NPCDATA = 28,
	FUNC_CU = 32,
	FUNC_START_LINE = 36, /* since Go 1.20 */
	FUNC_BYTES_1_18 = 40, /* the last word is: kind, flag, 0, number of funcdata */
	FUNC_BYTES_1_20 = 44,
};
#define PCDATA_INL_TREE_INDEX 2
#define FUNCDATA_INL_TREE     3
#define NONE                  UINT32_MAX

struct table {
	const uint8_t *bytes;
	uint64_t len;
};

#define MAX_SEGMENTS 16
struct segment {
	uint64_t start, end; /* of what the file fills: no Go table lies in bss */
	uint32_t flags;      /* PF_R ... */
};

struct image {
	struct segment segments[MAX_SEGMENTS];
	size_t count;
	struct segment relro;
};

static struct {
	uint64_t text,
		etext; /* 0, 0: nothing found, so no pc is in text and nothing else is read */
	bool is_1_20;
	uint32_t func_bytes;
	struct table names, cutab, filetab, pctab, funcs, ftab, gofunc;
	uint32_t wrapper_kind; /* 0 not looked for yet */
	char version[64];
} go;

/* ---- tables ----------------------------------------------------------- */

static bool table_u32(const struct table *t, uint64_t offset, uint32_t *out)
{
	if (offset > t->len || t->len - offset < sizeof(*out))
		return false;
	memcpy(out, t->bytes + offset, sizeof(*out));
	return true;
}

/* NULL unless a whole string begins at offset. */
static const char *table_string(const struct table *t, uint64_t offset)
{
	if (offset >= t->len || (offset > 0 && t->bytes[offset - 1] != 0))
		return NULL;
	const uint8_t *s = t->bytes + offset;
	return memchr(s, 0, t->len - offset) != NULL ? (const char *)s : NULL;
}

static bool table_varint(const struct table *t, uint64_t *offset, uint32_t *out)
{
	uint32_t value = 0;
	for (unsigned shift = 0; shift < 32 && *offset < t->len; shift += 7) {
		uint8_t byte = t->bytes[(*offset)++];
		value |= (uint32_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*out = value;
			return true;
		}
	}
	return false;
}

/* ---- finding them ----------------------------------------------------- */

static bool image_bias(const Elf64_Phdr *headers, size_t count, uint64_t *bias)
{
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_PHDR) {
			*bias = (uint64_t)headers - headers[i].p_vaddr;
			return true;
		}
	/* Without it: the first segment starts with the ELF header, the headers follow it. */
	const uint8_t *ehdr = (const uint8_t *)headers - sizeof(Elf64_Ehdr);
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0 &&
		    ((uint64_t)headers & (PAGE_BYTES - 1)) == sizeof(Elf64_Ehdr) &&
		    memcmp(ehdr, ELFMAG, SELFMAG) == 0) {
			*bias = (uint64_t)ehdr - headers[i].p_vaddr;
			return true;
		}
	return false;
}

static bool image_read(struct image *image)
{
	const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	uint64_t bias;
	if (headers == NULL || getauxval(AT_PHENT) != sizeof(*headers) ||
	    !image_bias(headers, count, &bias))
		return false;
	for (size_t i = 0; i < count; i++) {
		const Elf64_Phdr *h = &headers[i];
		struct segment s = {
			.start = bias + h->p_vaddr,
			.end = bias + h->p_vaddr + h->p_filesz,
			.flags = h->p_flags,
		};
		if (h->p_type == PT_GNU_RELRO)
			image->relro = s;
		if (h->p_type == PT_LOAD && (h->p_flags & PF_R) && image->count < MAX_SEGMENTS)
			image->segments[image->count++] = s;
	}
	return true;
}

/* From start to the end of its segment; empty outside of all of them. */
static struct table image_rest(const struct image *image, uint64_t start)
{
	for (size_t i = 0; i < image->count; i++) {
		const struct segment *s = &image->segments[i];
		if (start >= s->start && start < s->end)
			return (struct table){(const uint8_t *)start, s->end - start};
	}
	return (struct table){0};
}

static bool image_holds(const struct image *image, uint64_t start, uint64_t bytes)
{
	return image_rest(image, start).len >= bytes;
}

static bool slice_table(const struct image *image, const struct go_slice *slice, size_t item_bytes,
			struct table *out)
{
	if (slice->len > slice->cap || slice->len > UINT32_MAX ||
	    !image_holds(image, slice->start, slice->len * item_bytes))
		return false;
	*out = (struct table){(const uint8_t *)slice->start, slice->len * item_bytes};
	return true;
}

/*
 * go:func.* and what lies before it, by release.  1.27 has the length of the
 * type descriptors between the types' two ends: a length where older ones have
 * an address.
 */
static uint64_t gofunc_start(const struct moduledata *md, bool is_1_20)
{
	const uint64_t *word = (const uint64_t *)(const void *)md;
	if (!is_1_20)
		return word[304 / 8];
	return word[304 / 8] < word[296 / 8] ? word[344 / 8] : word[320 / 8];
}

static bool moduledata_accept(const struct image *image, const struct moduledata *md)
{
	const struct pc_header *h = (const struct pc_header *)md->header;
	if (h->magic != HEADER_GO_1_18 && h->magic != HEADER_GO_1_20)
		return false;
	if (md->ftab.len != h->nfunc + 1 || md->names.start != md->header + h->names_offset ||
	    md->etext <= md->text || md->etext - md->text > UINT32_MAX ||
	    !image_holds(image, md->text, md->etext - md->text))
		return false;
	if (!slice_table(image, &md->names, 1, &go.names) ||
	    !slice_table(image, &md->cutab, 4, &go.cutab) ||
	    !slice_table(image, &md->filetab, 1, &go.filetab) ||
	    !slice_table(image, &md->pctab, 1, &go.pctab) ||
	    !slice_table(image, &md->pclntable, 1, &go.funcs) ||
	    !slice_table(image, &md->ftab, 8, &go.ftab))
		return false;
	go.is_1_20 = h->magic == HEADER_GO_1_20;
	go.func_bytes = go.is_1_20 ? FUNC_BYTES_1_20 : FUNC_BYTES_1_18;
	go.gofunc = image_rest(image, gofunc_start(md, go.is_1_20));
	go.text = md->text;
	go.etext = md->etext;
	return true;
}

/*
 * The cheap half of the question for one place in the data.  It dereferences
 * nothing: following every word that might be a pointer would page in the whole
 * executable.
 */
static bool moduledata_plausible(const struct image *image, const struct moduledata *md)
{
	return md->names.start > md->header && md->names.start - md->header <= PAGE_BYTES &&
	       md->names.len == md->names.cap && md->minpc == md->text &&
	       image_holds(image, md->header, sizeof(struct pc_header));
}

/* Reads the data of others word by word: not for the address sanitizer to judge. */
__attribute__((no_sanitize_address)) static bool moduledata_scan(const struct image *image,
								 uint64_t start, uint64_t end)
{
	for (uint64_t at = ALIGN_UP(start, 8); at + sizeof(struct moduledata) <= end; at += 8) {
		const struct moduledata *md = (const struct moduledata *)at;
		if (moduledata_plausible(image, md) && moduledata_accept(image, md))
			return true;
	}
	return false;
}

/* "\xff Go buildinf:", pointer size, flags, 16 bytes of padding, then length and text. */
__attribute__((no_sanitize_address)) static bool version_scan(const struct image *image,
							      uint64_t start, uint64_t end)
{
	static const char magic[] = "\xff Go buildinf:";
	(void)image;
	for (uint64_t at = ALIGN_UP(start, 16); at + 33 <= end; at += 16) {
		const uint8_t *blob = (const uint8_t *)at;
		if (blob[0] != 0xff || memcmp(blob, magic, sizeof(magic) - 1) != 0)
			continue;
		struct table t = {blob, end - at};
		uint64_t offset = 32;
		uint32_t len;
		if ((blob[15] & 2) == 0 || !table_varint(&t, &offset, &len) ||
		    len > t.len - offset || len >= sizeof(go.version))
			return false;
		memcpy(go.version, blob + offset, len);
		return true;
	}
	return false;
}

/*
 * Offers the writable data to scan, what is made read-only after relocation
 * last: in a PIE of Go <= 1.25 that part holds the whole pclntab, and what is
 * looked for never lies there.
 */
static bool image_scan(const struct image *image,
		       bool (*scan)(const struct image *, uint64_t start, uint64_t end))
{
	const struct segment *relro = &image->relro;
	for (size_t i = 0; i < image->count; i++) {
		struct segment s = image->segments[i];
		if (relro->start >= s.start && relro->start < s.end)
			s.start = relro->end;
		if ((s.flags & PF_W) && s.start < s.end && scan(image, s.start, s.end))
			return true;
	}
	return relro->start < relro->end && scan(image, relro->start, relro->end);
}

int gosym_init(void)
{
	struct image image = {0};
	memset(&go, 0, sizeof(go));
	if (!image_read(&image) || !image_scan(&image, moduledata_scan))
		return -1;
	image_scan(&image, version_scan);
	return 0;
}

bool gosym_is_go(void)
{
	return go.etext != 0;
}

const char *gosym_version(void)
{
	return go.version;
}

/* ---- functions -------------------------------------------------------- */

bool gosym_in_text(uint64_t pc)
{
	return pc - go.text < go.etext - go.text;
}

/* ftab: {entry - text, offset of _func} ascending, and a last entry that only ends. */
static bool ftab_entry(uint64_t index, uint32_t *entry, uint32_t *func)
{
	return table_u32(&go.ftab, index * 8, entry) && table_u32(&go.ftab, index * 8 + 4, func);
}

/* A binary search: findfunctab would save some probes, and is one more table to trust. */
static bool ftab_search(uint32_t pc_offset, uint64_t *index)
{
	uint64_t low = 0, high = go.ftab.len / 8; /* entry(low) <= pc < entry(high) */
	uint32_t entry, func;
	if (!ftab_entry(0, &entry, &func) || entry > pc_offset)
		return false;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		ftab_entry(middle, &entry, &func);
		if (entry <= pc_offset)
			low = middle;
		else
			high = middle;
	}
	*index = low;
	return high < go.ftab.len / 8; /* the last entry is no function */
}

static uint32_t func_u32(uint64_t func, uint32_t field)
{
	uint32_t value;
	return table_u32(&go.funcs, func + field, &value) ? value : 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool gosym_find(uint64_t pc, struct gosym_func *out)
{
	uint64_t index;
	uint32_t entry, end, func, next;
	if (!gosym_in_text(pc) || !ftab_search((uint32_t)(pc - go.text), &index) ||
	    !ftab_entry(index, &entry, &func) || !ftab_entry(index + 1, &end, &next) ||
	    func > go.funcs.len || go.funcs.len - func < go.func_bytes)
		return false;
	*out = (struct gosym_func){
		.entry = go.text + entry,
		.end = go.text + end,
		.name = table_string(&go.names, func_u32(func, FUNC_NAME)),
		.func = go.funcs.bytes + func,
	};
	if (out->name == NULL || pc >= out->end)
		return false;
	/* Without a line table; but neither have the linker's markers (go:textfipsstart). */
	out->is_c = func_u32(func, FUNC_PCFILE) == 0 && func_u32(func, FUNC_PCLN) == 0 &&
		    !has_prefix(out->name, "go:");
	return true;
}

bool gosym_is_c_name(const char *name)
{
	/* runtime/cgo's *.c and gcc_amd64.S, in all releases together. */
	static const char *const others[] = {
		"crosscall1", "crosscall_amd64", "fatalf", "pthread_key_destructor", "threadentry",
	};
	if (has_prefix(name, "x_cgo_"))
		return true;
	if (has_prefix(name, "_cgo_"))
		return strcmp(name, "_cgo_topofstack") != 0 && strcmp(name, "_cgo_panic") != 0;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (strcmp(name, others[i]) == 0)
			return true;
	return false;
}

/* ---- lines and inlining ------------------------------------------------ */

/*
 * The value a pc-value table has at pc: pairs of zigzag value delta and pc
 * delta, both varints (runtime/symtab.go, step).  Each pair is two bytes at
 * least, so that the table's length bounds the loop.
 */
static bool pc_value(uint32_t start, uint64_t func_entry, uint64_t pc, int32_t *out)
{
	uint64_t offset = start, at = func_entry;
	uint32_t value = UINT32_MAX, value_delta, pc_delta;
	if (start == 0)
		return false;
	for (bool first = true; table_varint(&go.pctab, &offset, &value_delta); first = false) {
		if ((value_delta == 0 && !first) || !table_varint(&go.pctab, &offset, &pc_delta))
			return false;
		value += (value_delta >> 1) ^ -(value_delta & 1);
		at += pc_delta;
		if (pc < at) {
			*out = (int32_t)value;
			return true;
		}
	}
	return false;
}

static uint32_t func_offset(const struct gosym_func *f)
{
	return (uint32_t)((const uint8_t *)f->func - go.funcs.bytes);
}

static void func_file_line(const struct gosym_func *f, uint64_t pc, struct gosym_frame *frame)
{
	uint64_t func = func_offset(f);
	int32_t file, line;
	uint32_t file_offset;
	frame->file = "";
	frame->line = 0;
	if (!pc_value(func_u32(func, FUNC_PCFILE), f->entry, pc, &file) ||
	    !pc_value(func_u32(func, FUNC_PCLN), f->entry, pc, &line) || file < 0 || line < 0)
		return;
	uint64_t unit = func_u32(func, FUNC_CU);
	if (!table_u32(&go.cutab, (unit + (uint32_t)file) * 4, &file_offset))
		return;
	const char *path = table_string(&go.filetab, file_offset);
	if (path == NULL)
		return;
	frame->file = path;
	frame->line = line;
}

/* runtime._func's last word: kind (abi.FuncID) in the low byte, number of funcdata in the high. */
static uint32_t func_last(uint64_t func)
{
	return func_u32(func, go.func_bytes - 4);
}

/*
 * What abi.FuncIDWrapper is in this release: it is the last of the kinds and
 * follows systemstack and systemstack_switch (1.18 to 1.27), while the number
 * itself moves.  Looks at every name once, so the first caller pays; a race only
 * looks twice.
 */
static uint32_t wrapper_kind(void)
{
	uint32_t kind = LOAD(&go.wrapper_kind), entry, func;
	for (uint64_t i = 0; kind == 0 && ftab_entry(i, &entry, &func); i++) {
		const char *name = table_string(&go.names, func_u32(func, FUNC_NAME));
		if (name != NULL && strcmp(name, "runtime.systemstack") == 0)
			kind = (func_last(func) & 0xff) + 2;
	}
	kind = kind > 2 ? kind : NONE;
	STORE(&go.wrapper_kind, kind);
	return kind;
}

/* The inline tree of a function: offset in gofunc, NONE when it has none. */
static uint32_t inline_tree(uint64_t func)
{
	uint64_t funcdata = go.func_bytes + 4 * (uint64_t)func_u32(func, FUNC_NPCDATA);
	uint32_t tree;
	if (func_last(func) >> 24 <= FUNCDATA_INL_TREE ||
	    !table_u32(&go.funcs, func + funcdata + 4 * FUNCDATA_INL_TREE, &tree))
		return NONE;
	return tree;
}

/* The inlined call that pc belongs to: its offset in gofunc; false for the function's own code. */
static bool inline_call(const struct gosym_func *f, uint32_t tree, uint64_t pc, uint64_t *call)
{
	uint64_t func = func_offset(f);
	uint32_t entry_bytes = go.is_1_20 ? 16 : 20;
	int32_t index;
	if (tree == NONE || func_u32(func, FUNC_NPCDATA) <= PCDATA_INL_TREE_INDEX)
		return false;
	uint32_t values = func_u32(func, go.func_bytes + 4 * PCDATA_INL_TREE_INDEX);
	if (!pc_value(values, f->entry, pc, &index) || index < 0)
		return false;
	*call = tree + (uint64_t)index * entry_bytes;
	return true;
}

/* runtime.inlinedCall: kind, name, position in the caller, and since 1.20 the first line. */
static bool inline_read(const struct gosym_func *f, uint64_t call, struct gosym_frame *frame,
			uint64_t *parent_pc)
{
	uint32_t kind, name, parent, start_line = 0;
	if (!table_u32(&go.gofunc, call, &kind) ||
	    !table_u32(&go.gofunc, call + (go.is_1_20 ? 4 : 12), &name) ||
	    !table_u32(&go.gofunc, call + (go.is_1_20 ? 8 : 16), &parent) ||
	    (go.is_1_20 && !table_u32(&go.gofunc, call + 12, &start_line)) ||
	    parent >= f->end - f->entry)
		return false;
	frame->function = table_string(&go.names, name);
	frame->start_line = start_line;
	frame->is_wrapper = (kind >> (go.is_1_20 ? 0 : 16) & 0xff) == wrapper_kind();
	*parent_pc = f->entry + parent;
	return frame->function != NULL;
}

static void func_read(const struct gosym_func *f, struct gosym_frame *frame)
{
	uint32_t func = func_offset(f);
	frame->function = f->name;
	frame->start_line = go.is_1_20 ? (int32_t)func_u32(func, FUNC_START_LINE) : 0;
	frame->is_wrapper = (func_last(func) & 0xff) == wrapper_kind();
}

size_t gosym_frames(uint64_t pc, struct gosym_frame *frames, size_t max)
{
	struct gosym_func f;
	uint64_t call, parent_pc;
	if (max == 0 || !gosym_find(pc, &f))
		return 0;
	uint32_t tree = inline_tree(func_offset(&f));
	for (size_t n = 0; n < max; n++) {
		func_file_line(&f, pc, &frames[n]);
		if (!inline_call(&f, tree, pc, &call) ||
		    !inline_read(&f, call, &frames[n], &parent_pc)) {
			func_read(&f, &frames[n]);
			return n + 1;
		}
		pc = parent_pc;
	}
	return max;
}

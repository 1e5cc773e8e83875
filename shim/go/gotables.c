/*
 * Layouts: written by cmd/link/internal/ld/pcln.go, read by runtime/symtab.go.
 */
#include "go/gotables.h"

#include <assert.h>
#include <elf.h>
#include <sys/auxv.h>

#include "base/arch.h"
#include "go/goexe.h"

/* runtime.pcHeader's first 8 bytes: magic, 0, 0, the instruction quantum, the pointer size. */
#define HEADER_REST    (UINT64_C(8) << 56 | (uint64_t)ARCH_CODE_BYTES << 48)
#define HEADER_GO_1_18 (HEADER_REST | 0xfffffff0)
#define HEADER_GO_1_20 (HEADER_REST | 0xfffffff1)

/* The part of runtime.moduledata that is the same in Go 1.18 to 1.27. */
struct go_slice {
	uint64_t start, len, cap;
};
struct moduledata {
	uint64_t header;
	struct go_slice names, cutab, filetab, pctab, pclntable, ftab;
	uint64_t findfunctab, minpc, maxpc, text, etext;
	uint64_t later[22]; /* segments, types, rodata, gofunc; they moved, see gofunc_start */
} __attribute__((may_alias));

static_assert(offsetof(struct moduledata, ftab) == 128, "runtime/symtab.go, moduledata");
static_assert(offsetof(struct moduledata, etext) == 184, "runtime/symtab.go, moduledata");

struct pc_header {
	uint64_t magic, nfunc, nfiles, text_start /* 0 since 1.26 */, names_offset;
} __attribute__((may_alias));

#define MAX_SEGMENTS 16
struct segment {
	uint64_t start, end; /* the part filled from the file: no Go table is in bss */
	uint64_t zeroed_end; /* the end of bss */
	uint32_t flags;      /* PF_R ... */
};

struct image {
	struct segment segments[MAX_SEGMENTS];
	size_t count;
	struct segment relro;
	struct gotables *tables; /* the result */
};

static bool image_bias(const Elf64_Phdr *headers, size_t count, uint64_t *bias)
{
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_PHDR) {
			*bias = (uint64_t)headers - headers[i].p_vaddr;
			return true;
		}
	/* Without PT_PHDR: the first segment starts with the ELF header and the program headers. */
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

static void image_read(struct image *image, const Elf64_Phdr *headers, size_t count, uint64_t bias)
{
	for (size_t i = 0; i < count; i++) {
		const Elf64_Phdr *h = &headers[i];
		struct segment s = {
			.start = bias + h->p_vaddr,
			.end = bias + h->p_vaddr + h->p_filesz,
			.zeroed_end = bias + h->p_vaddr + h->p_memsz,
			.flags = h->p_flags,
		};
		if (h->p_type == PT_GNU_RELRO)
			image->relro = s;
		if (h->p_type == PT_LOAD && (h->p_flags & PF_R) && image->count < MAX_SEGMENTS)
			image->segments[image->count++] = s;
	}
}

/* The range from start to the end of its segment; empty outside all segments. */
static struct gotable image_rest(const struct image *image, uint64_t start)
{
	for (size_t i = 0; i < image->count; i++) {
		const struct segment *s = &image->segments[i];
		if (start >= s->start && start < s->end)
			return (struct gotable){(const uint8_t *)start, s->end - start};
	}
	return (struct gotable){0};
}

static bool image_holds(const struct image *image, uint64_t start, uint64_t bytes)
{
	return image_rest(image, start).len >= bytes;
}

static bool slice_table(const struct image *image, const struct go_slice *slice, size_t item_bytes,
			struct gotable *out)
{
	if (slice->len > slice->cap || slice->len > UINT32_MAX ||
	    !image_holds(image, slice->start, slice->len * item_bytes))
		return false;
	*out = (struct gotable){(const uint8_t *)slice->start, slice->len * item_bytes};
	return true;
}

/*
 * Finds go:func.* by the fields before it, which depend on the release.  1.27 has the
 * length of the type descriptors between the two ends of the types; older releases have an
 * address there.
 */
static uint64_t gofunc_start(const struct moduledata *md, bool is_1_20)
{
	const uint64_t *word = (const uint64_t *)(const void *)md;
	if (!is_1_20)
		return word[304 / 8];
	return word[304 / 8] < word[296 / 8] ? word[344 / 8] : word[320 / 8];
}

/* Scans memory of others word by word, across ASan's redzones. */
#define SCANS __attribute__((no_sanitize_address))

SCANS static bool moduledata_accept(const struct image *image, const struct moduledata *md)
{
	const struct pc_header *h = (const struct pc_header *)md->header;
	if (h->magic != HEADER_GO_1_18 && h->magic != HEADER_GO_1_20)
		return false;
	if (md->ftab.len != h->nfunc + 1 || md->names.start != md->header + h->names_offset ||
	    md->etext <= md->text || md->etext - md->text > UINT32_MAX ||
	    !image_holds(image, md->text, md->etext - md->text))
		return false;
	struct gotables *t = image->tables;
	if (!slice_table(image, &md->names, 1, &t->names) ||
	    !slice_table(image, &md->cutab, 4, &t->cutab) ||
	    !slice_table(image, &md->filetab, 1, &t->filetab) ||
	    !slice_table(image, &md->pctab, 1, &t->pctab) ||
	    !slice_table(image, &md->pclntable, 1, &t->funcs) ||
	    !slice_table(image, &md->ftab, 8, &t->ftab))
		return false;
	t->is_1_20 = h->magic == HEADER_GO_1_20;
	t->gofunc = image_rest(image, gofunc_start(md, t->is_1_20));
	t->text = md->text;
	t->etext = md->etext;
	return true;
}

/*
 * A cheap check of one place in the data.  It follows no pointer: following every word
 * that looks like one would page in the whole executable.
 */
SCANS static bool moduledata_plausible(const struct image *image, const struct moduledata *md)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a place in the image */
	return md->header % _Alignof(struct pc_header) == 0 && md->names.start > md->header &&
	       md->names.start - md->header <= PAGE_BYTES && md->names.len == md->names.cap &&
	       md->minpc == md->text && image_holds(image, md->header, sizeof(struct pc_header));
}

SCANS static bool moduledata_scan(const struct image *image, uint64_t start, uint64_t end)
{
	for (uint64_t at = ALIGN_UP(start, 8); at + sizeof(struct moduledata) <= end; at += 8) {
		const struct moduledata *md = (const struct moduledata *)at;
		if (moduledata_plausible(image, md) && moduledata_accept(image, md))
			return true;
	}
	return false;
}

/* "\xff Go buildinf:", pointer size, flags, 16 bytes of padding, then length and text. */
SCANS static bool version_scan(const struct image *image, uint64_t start, uint64_t end)
{
	typedef uint64_t word __attribute__((may_alias));
	char *version = image->tables->version;

	for (uint64_t at = ALIGN_UP(start, 16); at + 33 <= end; at += 16) {
		const uint8_t *blob = (const uint8_t *)at;
		if (*(const word *)at != UINT64_C(0x697562206f4720ff) ||
		    memcmp(blob + 8, "ldinf:", 6) != 0)
			continue;
		struct gotable t = {blob, end - at};
		uint64_t offset = 32;
		uint32_t len;
		if ((blob[15] & 2) == 0 || !gotable_varint(&t, &offset, &len) ||
		    len > t.len - offset || len >= sizeof(image->tables->version))
			return false;
		memcpy(version, blob + offset, len);
		return true;
	}
	return false;
}

/*
 * Scans the writable data, with the part that becomes read-only after relocation last: in
 * a PIE of Go <= 1.25 that part holds the whole pclntab, and never what is searched for.
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

static void segments_keep(const struct image *image)
{
	for (size_t i = 0; i < image->count && i < GOTABLES_SEGMENTS; i++) {
		const struct segment *s = &image->segments[i];
		image->tables->segments[i] =
			(struct gotable){(const uint8_t *)s->start, s->zeroed_end - s->start};
	}
}

bool gotables_find_in(const Elf64_Phdr *headers, size_t count, uint64_t bias, struct gotables *out)
{
	struct image image = {.tables = out};

	memset(out, 0, sizeof(*out));
	image_read(&image, headers, count, bias);
	if (!image_scan(&image, moduledata_scan))
		return false;
	segments_keep(&image);
	image_scan(&image, version_scan);
	return true;
}

bool gotables_find(struct gotables *out)
{
	const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	uint64_t bias;

	memset(out, 0, sizeof(*out));
	return headers && getauxval(AT_PHENT) == sizeof(*headers) &&
	       image_bias(headers, count, &bias) && goexe_may_be_go(headers, count, bias) &&
	       gotables_find_in(headers, count, bias, out);
}

uint32_t gotables_name(const struct gotables *t, const char *name)
{
	const uint8_t *at = t->names.bytes, *end = at + t->names.len;
	size_t bytes = strlen(name) + 1;

	for (; at && at < end; at++) {
		at = memmem(at, (size_t)(end - at), name, bytes);
		if (at && (at == t->names.bytes || at[-1] == 0))
			return (uint32_t)(at - t->names.bytes);
		if (!at)
			break;
	}
	return GOTABLES_NONE;
}

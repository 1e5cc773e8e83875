/*
 * Reads /proc/self/maps.  dl_iterate_phdr would be simpler, but takes the loader's lock,
 * which a thread in dlopen may hold while a constructor waits.
 */
#include "proc/modules.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/sysmacros.h>

#include "base/ascii.h"
#include "base/search.h"
#include "base/sys.h"

#define LINE_BYTES (8 * KIB) /* a path is at most PATH_MAX, so no line of maps is longer */

struct maps_line {
	uint64_t start, end, offset, device, inode;
	bool executable;
	const char *path; /* "" none */
	size_t path_bytes;
};

struct maps_reader {
	int fd;
	char *buf; /* LINE_BYTES */
	size_t from, to;
};

/* ---- lines ------------------------------------------------------------ */

/* The next complete line without its newline, NUL-terminated; NULL at the end. */
static char *next_line(struct maps_reader *r)
{
	for (;;) {
		char *line = r->buf + r->from, *end = memchr(line, '\n', r->to - r->from);

		if (end) {
			*end = 0;
			r->from = (size_t)(end - r->buf) + 1;
			return line;
		}
		memmove(r->buf, line, r->to - r->from);
		r->to -= r->from;
		r->from = 0;
		if (r->to == LINE_BYTES)
			return NULL;
		long n = sys_read(r->fd, r->buf + r->to, LINE_BYTES - r->to);
		if (sys_failed(n) || n == 0)
			return NULL;
		r->to += (size_t)n;
	}
}

static int read_number(const char **at, unsigned base, uint64_t *out)
{
	const char *start = *at;

	*out = 0;
	for (;; (*at)++) {
		char c = **at;
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
							: base;
		if (digit >= base)
			return *at > start ? 0 : -1;
		*out = *out * base + digit;
	}
}

static bool skip(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* "start-end rwxp offset major:minor inode      path" */
static int parse_line(const char *text, struct maps_line *line)
{
	uint64_t major, minor;

	if (read_number(&text, 16, &line->start) || !skip(&text, '-') ||
	    read_number(&text, 16, &line->end) || !skip(&text, ' ') || strlen(text) < 5)
		return -1;
	line->executable = text[2] == 'x';
	text += 5;
	if (read_number(&text, 16, &line->offset) || !skip(&text, ' ') ||
	    read_number(&text, 16, &major) || !skip(&text, ':') || read_number(&text, 16, &minor) ||
	    !skip(&text, ' ') || read_number(&text, 10, &line->inode) || line->end <= line->start)
		return -1;
	line->device = makedev((unsigned)major, (unsigned)minor);
	while (skip(&text, ' '))
		;
	line->path = text;
	line->path_bytes = strlen(text);
	return 0;
}

/* ---- the file behind a mapping ---------------------------------------- */

static int open_path(const char *path)
{
	/* Non-blocking, because a FIFO may have replaced the library. */
	long fd = sys_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	return sys_failed(fd) ? -1 : (int)fd;
}

/* A file that was linked otherwise has other headers, symbols or relocations there. */
#define COMPARED_BYTES (64 * KIB)

static bool has_same_start(const struct elffile *file, const struct elffile *image)
{
	uint64_t mapped = image->image_end - image->image, at = 0;
	char of_file[512], of_image[512];

	while (at < mapped && at < COMPARED_BYTES) {
		size_t n = elffile_read(image, at, of_image, sizeof(of_image));
		size_t in_file = elffile_read(file, at, of_file, n);
		if (n == 0 || memcmp(of_file, of_image, in_file) != 0)
			return false;
		if (in_file < n) /* the rest of the last page */
			break;
		at += n;
	}
	return at > 0;
}

static bool is_mapped_file(const struct module *m, int fd)
{
	struct elffile file, image;
	char file_id[BUILD_ID_HEX_BYTES], image_id[BUILD_ID_HEX_BYTES];
	struct stat st;

	if (sys_failed(sys_call(fstat, fd, &st)) || !S_ISREG(st.st_mode))
		return false;
	if (st.st_dev == m->device && st.st_ino == m->inode)
		return true;
	if (elffile_init_fd(&file, fd) || elffile_init_image(&image, m->image, m->image_end))
		return false;
	elffile_build_id(&file, file_id);
	elffile_build_id(&image, image_id);
	return image_id[0] ? strcmp(file_id, image_id) == 0 : has_same_start(&file, &image);
}

int modules_open(const struct module *m)
{
	/* If the program was started through ld.so, /proc/self/exe is ld.so: try the path too. */
	const char *const paths[] = {m->is_main ? "/proc/self/exe" : m->path, m->path};

	if (m->path[0] != '/')
		return -1;
	for (size_t i = 0; i < (m->is_main ? 2 : 1); i++) {
		int fd = open_path(paths[i]);

		if (fd >= 0 && is_mapped_file(m, fd))
			return fd;
		if (fd >= 0)
			sys_close(fd);
	}
	return -1;
}

/* Computes load_bias from the segment that the mapping belongs to. */
static bool find_bias(const struct elffile *f, struct module *m)
{
	Elf64_Phdr s;

	for (uint32_t i = 0; elffile_segment(f, i, &s); i++) {
		uint64_t first = s.p_offset & ~(PAGE_BYTES - 1);

		if (s.p_type == PT_LOAD && (s.p_flags & PF_X) && m->file_offset >= first &&
		    m->file_offset - first < s.p_filesz + (s.p_offset - first)) {
			m->load_bias = m->start - m->file_offset + s.p_offset - s.p_vaddr;
			return true;
		}
	}
	return false;
}

static void read_elf(struct module *m)
{
	struct elffile f;
	int fd = modules_open(m);

	if (fd >= 0) {
		m->elf_ok = elffile_init_fd(&f, fd) == 0 && find_bias(&f, m);
		if (m->elf_ok)
			elffile_build_id(&f, m->build_id);
		sys_close(fd);
	}
	if (!m->build_id[0] && elffile_init_image(&f, m->image, m->image_end) == 0)
		elffile_build_id(&f, m->build_id);
}

/* ---- the list --------------------------------------------------------- */

/* File mappings and the kernel's own ("[vdso]"); code generated at run time is in no file. */
static bool is_wanted(const struct maps_line *line)
{
	return line->executable && (line->path[0] == '/' ||
				    (line->path[0] == '[' && !ascii_begins(line->path, "[anon")));
}

static bool holds(const struct module *m, uint64_t address)
{
	return address >= m->start && address < m->end;
}

static int module_init(struct scratch *scratch, const struct maps_line *line,
		       const struct maps_line *first, struct module *m)
{
	static const char suffix[] = " (deleted)";
	size_t n = line->path_bytes, cut = sizeof(suffix) - 1;

	*m = (struct module){
		.start = line->start,
		.end = line->end,
		.file_offset = line->offset,
		.device = line->device,
		.inode = line->inode,
		.deleted = n > cut && memcmp(line->path + n - cut, suffix, cut) == 0,
	};
	if (line->inode && first->inode == line->inode && first->device == line->device) {
		m->image = first->start;
		m->image_end = first->end;
	}
	m->is_main = holds(m, getauxval(AT_ENTRY));
	m->is_shim = holds(m, (uint64_t)modules_read);
	m->path = scratch_strdup(scratch, line->path, m->deleted ? n - cut : n);
	if (!m->path)
		return -1;
	read_elf(m);
	return 0;
}

/* Room for one more; NULL: out of scratch. */
static struct module *list_grow(struct scratch *scratch, struct modules *out, size_t *room)
{
	if (out->count == *room) {
		size_t more = *room ? 2 * *room : 32;
		struct module *list = scratch_alloc(scratch, more * sizeof(*list));

		if (!list)
			return NULL;
		if (out->count)
			memcpy(list, out->list, out->count * sizeof(*list));
		out->list = list;
		*room = more;
	}
	return &out->list[out->count];
}

int modules_read(struct scratch *scratch, struct modules *out)
{
	struct maps_reader reader = {.fd = open_path("/proc/self/maps")};
	struct maps_line line, first = {0}; /* first: the latest mapping at offset 0 */
	size_t room = 0;
	int result = -1;
	char *text;

	*out = (struct modules){0};
	if (reader.fd < 0)
		return -1;
	reader.buf = scratch_alloc(scratch, LINE_BYTES);
	if (!reader.buf)
		goto close;
	while ((text = next_line(&reader)) != NULL) {
		if (parse_line(text, &line))
			continue;
		if (line.offset == 0 && line.inode)
			first = line;
		if (!is_wanted(&line))
			continue;
		struct module *m = list_grow(scratch, out, &room);
		if (!m || module_init(scratch, &line, &first, m))
			goto close;
		out->count++;
	}
	result = out->count ? 0 : -1;
close:
	sys_close(reader.fd);
	return result;
}

const struct module *modules_find(const struct modules *modules, uint64_t address)
{
	size_t n = SEARCH(modules->count, i, modules->list[i].start <= address);

	return n && holds(&modules->list[n - 1], address) ? &modules->list[n - 1] : NULL;
}

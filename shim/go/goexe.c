/*
 * Go's linker writes a note "Go" with the build ID (cmd/link/internal/ld/elf.go), except
 * with -ldflags=-buildid=.  It always writes a section .go.buildinfo, which strip keeps.
 * `go version FILE` and debuggers use both.
 */
#include "go/goexe.h"

#include <string.h>

#include "base/sys.h"
#include "proc/elffile.h"

#define MAX_HEADERS 32         /* compared with the file's */
#define NAMES_BYTES (16 * KIB) /* of section names: real executables have about 1 KiB */
#define PART_BYTES  512

/* Without note and sections: data up to this size is searched for Go's tables, in about 10 ms. */
#define MAX_SEARCH_BYTES (32 * MIB)

/* ---- the note ----------------------------------------------------------- */

/* A note: sizes of name and description, type; then both, each padded to words. */
static bool notes_have_go(const uint32_t *note, uint64_t bytes)
{
	while (bytes >= sizeof(Elf64_Nhdr)) {
		uint64_t name = ALIGN_UP((uint64_t)note[0], 4);
		uint64_t all = sizeof(Elf64_Nhdr) + name + ALIGN_UP((uint64_t)note[1], 4);
		if (all > bytes)
			return false;
		if (note[0] == 4 && memcmp(note + 3, "Go\0", 4) == 0)
			return true;
		note += all / 4;
		bytes -= all;
	}
	return false;
}

static bool has_note(const Elf64_Phdr *headers, size_t count, uint64_t bias)
{
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_NOTE && headers[i].p_vaddr % 4 == 0 &&
		    notes_have_go((const uint32_t *)(bias + headers[i].p_vaddr),
				  headers[i].p_filesz))
			return true;
	return false;
}

/* ---- sections ----------------------------------------------------------- */

enum answer { NO, YES, UNKNOWN };

/* If the program was started through the loader (ld.so PROGRAM), /proc/self/exe is the loader. */
static bool is_this_file(const struct elffile *f, const Elf64_Phdr *headers, size_t count)
{
	Elf64_Phdr in_file[MAX_HEADERS];
	size_t bytes = count * sizeof(*headers);
	return count <= MAX_HEADERS && f->header.e_phnum == count &&
	       f->header.e_phentsize == sizeof(*headers) &&
	       elffile_read(f, f->header.e_phoff, in_file, bytes) == bytes &&
	       memcmp(in_file, headers, bytes) == 0;
}

/* Reads overlapping parts, because the main thread's stack may be short. */
static enum answer names_have_go(const struct elffile *f)
{
	static const char wanted[] = "\0.go.buildinfo"; /* with the NUL before and after */
	char part[PART_BYTES];
	Elf64_Shdr table;
	if (f->section_count == 0 || !elffile_section(f, f->header.e_shstrndx, &table) ||
	    table.sh_size > NAMES_BYTES || table.sh_size == 0)
		return UNKNOWN;
	for (uint64_t at = 0; at < table.sh_size; at += sizeof(part) - sizeof(wanted)) {
		uint64_t left = table.sh_size - at;
		size_t bytes = left < sizeof(part) ? (size_t)left : sizeof(part);
		if (elffile_read(f, table.sh_offset + at, part, bytes) != bytes)
			return UNKNOWN;
		if (memmem(part, bytes, wanted, sizeof(wanted)) != NULL)
			return YES;
	}
	return NO;
}

static enum answer by_sections(const Elf64_Phdr *headers, size_t count)
{
	struct elffile f;
	enum answer answer = UNKNOWN;
	long fd = sys_open_read("/proc/self/exe");
	if (sys_failed(fd))
		return UNKNOWN;
	if (elffile_init_fd(&f, (int)fd) == 0 && is_this_file(&f, headers, count))
		answer = names_have_go(&f);
	sys_close((int)fd);
	return answer;
}

/* ---- the answer --------------------------------------------------------- */

static uint64_t data_bytes_of(const Elf64_Phdr *headers, size_t count)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_W))
			bytes += headers[i].p_filesz;
	return bytes;
}

bool goexe_may_be_go(const Elf64_Phdr *headers, size_t count, uint64_t bias)
{
	enum answer answer = has_note(headers, count, bias) ? YES : by_sections(headers, count);
	return answer == YES ||
	       (answer == UNKNOWN && data_bytes_of(headers, count) <= MAX_SEARCH_BYTES);
}

bool goexe_library_may_be_go(const Elf64_Phdr *headers, size_t count, uint64_t bias,
			     uint64_t data_bytes)
{
	return has_note(headers, count, bias) || data_bytes_of(headers, count) <= data_bytes;
}

/*
 * An ELF file's headers, read piece by piece from a file descriptor or from where the
 * loader mapped the start of the file.
 *
 * Files are not mapped: if another process truncates one while it is read, the result is
 * a short read, not SIGBUS.  Memory is read by a system call that returns EFAULT, so
 * unloading the library meanwhile does no harm.  Counts and offsets come from the file
 * and are checked before use.
 */
#ifndef CGOHEAP_ELFFILE_H
#define CGOHEAP_ELFFILE_H

#include <elf.h>

#include "base/base.h"

struct elffile {
	int fd;                    /* -1: read the image in memory */
	uint64_t image, image_end; /* the mapping that starts with the ELF header */
	Elf64_Ehdr header;
	uint32_t section_count;
};

/* Read the header.  -1: not 64-bit ELF for this processor.  The caller keeps fd. */
int elffile_init_fd(struct elffile *f, int fd);
int elffile_init_image(struct elffile *f, uint64_t start, uint64_t end);

/* Reads n bytes at offset, or as many as exist; returns their number. */
size_t elffile_read(const struct elffile *f, uint64_t offset, void *buf, size_t n);

bool elffile_segment(const struct elffile *f, uint32_t index, Elf64_Phdr *out);
bool elffile_section(const struct elffile *f, uint32_t index, Elf64_Shdr *out); /* needs fd */

#define ELFFILE_BUILD_ID_BYTES 65 /* 32 bytes in hex, NUL */

/*
 * The GNU build ID in hex, or "".  From the note segments, else from the note sections:
 * Go's own linker (1.24 and later) writes the note but leaves it out of PT_NOTE.
 */
void elffile_build_id(const struct elffile *f, char hex[ELFFILE_BUILD_ID_BYTES]);

#endif

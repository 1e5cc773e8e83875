/*
 * An ELF file's headers, read piece by piece from a file descriptor, or from
 * where the loader mapped its beginning.
 *
 * Nothing is mapped: a file that another process truncates while it is read
 * gives a short read, not SIGBUS.  Memory is read by a system call that answers
 * EFAULT, so that a library unloaded in the meantime does no harm either.  All
 * counts and offsets come from the file and are believed no further than that.
 */
#ifndef CGOHEAP_ELFFILE_H
#define CGOHEAP_ELFFILE_H

#include <elf.h>

#include "base/base.h"

struct elffile {
	int fd;                    /* -1: the image in memory below */
	uint64_t image, image_end; /* of the mapping that begins with the ELF header */
	Elf64_Ehdr header;
	uint32_t section_count;
};

/* Reads the header: 64-bit, this processor's.  False: no ELF file for us. fd stays the caller's. */
bool elffile_init_fd(struct elffile *f, int fd);
bool elffile_init_image(struct elffile *f, uint64_t start, uint64_t end);

/* n bytes at offset, or as many as there are. */
size_t elffile_read(const struct elffile *f, uint64_t offset, void *buf, size_t n);

bool elffile_segment(const struct elffile *f, uint32_t index, Elf64_Phdr *out);
bool elffile_section(const struct elffile *f, uint32_t index, Elf64_Shdr *out); /* a file's only */

#define ELFFILE_BUILD_ID_BYTES 65 /* 32 bytes in hex, NUL */

/*
 * The GNU build ID in hex, from the note segments, else from the note sections:
 * Go's own linker (1.24 and later) writes the note and leaves it out of PT_NOTE.
 * "" where there is none.
 */
void elffile_build_id(const struct elffile *f, char hex[ELFFILE_BUILD_ID_BYTES]);

#endif

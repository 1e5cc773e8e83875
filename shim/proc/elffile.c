/* Reads ELF headers without trusting them; elffile.h has the guarantees. */
#include "proc/elffile.h"

#include <string.h>

#include "base/arch.h"
#include "base/selfmem.h"
#include "base/sys.h"

/* Bytes read of a note area: build IDs come early, and real files have smaller areas. */
#define NOTES_BYTES 2048

static size_t file_read(int fd, uint64_t offset, char *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		long r = sys_pread(fd, buf + done, n - done, offset + done);

		if (sys_failed(r) || r == 0)
			break;
		done += (size_t)r;
	}
	return done;
}

size_t elffile_read(const struct elffile *f, uint64_t offset, void *buf, size_t n)
{
	uint64_t bytes = f->image_end - f->image;

	if (f->fd >= 0)
		return offset <= INT64_MAX ? file_read(f->fd, offset, buf, n) : 0;
	if (offset >= bytes)
		return 0;
	return selfmem_copy(f->image + offset, buf, n < bytes - offset ? n : bytes - offset);
}

static int read_all(const struct elffile *f, uint64_t offset, void *buf, size_t n)
{
	return elffile_read(f, offset, buf, n) == n ? 0 : -1;
}

static int header_read(struct elffile *f)
{
	static const unsigned char ident[] = {ELFMAG0, ELFMAG1,    ELFMAG2,
					      ELFMAG3, ELFCLASS64, ELFDATA2LSB};
	Elf64_Shdr first;

	if (read_all(f, 0, &f->header, sizeof(f->header)) ||
	    memcmp(f->header.e_ident, ident, sizeof(ident)) != 0 ||
	    f->header.e_machine != ARCH_ELF_MACHINE)
		return -1;
	f->section_count = f->header.e_shnum;
	/* With 0xff00 sections or more, the first section's size holds the count. */
	if (f->section_count == 0 && elffile_section(f, 0, &first) &&
	    first.sh_size <= UINT16_MAX * 4)
		f->section_count = (uint32_t)first.sh_size;
	return 0;
}

int elffile_init_fd(struct elffile *f, int fd)
{
	*f = (struct elffile){.fd = fd};
	return header_read(f);
}

int elffile_init_image(struct elffile *f, uint64_t start, uint64_t end)
{
	*f = (struct elffile){.fd = -1, .image = start, .image_end = end};
	return start < end && header_read(f) == 0 ? 0 : -1;
}

bool elffile_segment(const struct elffile *f, uint32_t index, Elf64_Phdr *out)
{
	return index < f->header.e_phnum && f->header.e_phentsize == sizeof(*out) &&
	       read_all(f, f->header.e_phoff + index * sizeof(*out), out, sizeof(*out)) == 0;
}

bool elffile_section(const struct elffile *f, uint32_t index, Elf64_Shdr *out)
{
	return f->fd >= 0 && f->header.e_shoff != 0 && f->header.e_shentsize == sizeof(*out) &&
	       (index < f->section_count || index == 0) &&
	       read_all(f, f->header.e_shoff + index * sizeof(*out), out, sizeof(*out)) == 0;
}

static void to_hex(const uint8_t *bytes, size_t n, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*hex++ = digits[bytes[i] >> 4];
		*hex++ = digits[bytes[i] & 15];
	}
	*hex = 0;
}

/* Whether the notes at offset have a build ID; writes it to hex. */
static bool notes_search(const struct elffile *f, uint64_t offset, uint64_t bytes, uint64_t align,
			 char *hex)
{
	uint8_t notes[NOTES_BYTES];
	size_t size = elffile_read(f, offset, notes, bytes < sizeof(notes) ? bytes : sizeof(notes));
	Elf64_Nhdr note;

	align = align == 8 ? 8 : 4;
	for (size_t at = 0; at < size && size - at >= sizeof(note);) {
		memcpy(&note, notes + at, sizeof(note));
		uint64_t desc = at + ALIGN_UP(sizeof(note) + (uint64_t)note.n_namesz, align);
		uint64_t next = desc + ALIGN_UP((uint64_t)note.n_descsz, align);

		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    desc + note.n_descsz <= size && note.n_descsz > 0 &&
		    note.n_descsz <= ELFFILE_BUILD_ID_BYTES / 2 &&
		    memcmp(notes + at + sizeof(note), "GNU", 4) == 0) {
			to_hex(notes + desc, note.n_descsz, hex);
			return true;
		}
		at = next;
	}
	return false;
}

void elffile_build_id(const struct elffile *f, char hex[ELFFILE_BUILD_ID_BYTES])
{
	Elf64_Phdr segment;
	Elf64_Shdr section;

	hex[0] = 0;
	for (uint32_t i = 0; elffile_segment(f, i, &segment); i++)
		if (segment.p_type == PT_NOTE &&
		    notes_search(f, segment.p_offset, segment.p_filesz, segment.p_align, hex))
			return;
	for (uint32_t i = 0; elffile_section(f, i, &section); i++)
		if (section.sh_type == SHT_NOTE &&
		    notes_search(f, section.sh_offset, section.sh_size, section.sh_addralign, hex))
			return;
}

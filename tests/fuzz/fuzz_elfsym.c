/* Any file in the place of a library: its build ID, and names of addresses from its symbols. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "proc/elffile.h"
#include "proc/elfsym.h"
#include "file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void look_up(const char *path)
{
	struct scratch scratch = SCRATCH_INIT(16 * MIB);
	struct module module = {.start = 0,
				.end = UINT64_C(1) << 32,
				.path = path,
				.elf_ok = true,
				.is_main = false};
	struct elfsym queries[] = {{.pc = 0}, {.pc = 0x1000}, {.pc = 0x1010}, {.pc = UINT64_MAX}};
	struct stat st;

	if (stat(path, &st))
		abort();
	module.device = st.st_dev;
	module.inode = st.st_ino;
	elfsym_resolve(&scratch, &module, queries, COUNT_OF(queries));
	for (size_t i = 0; i < COUNT_OF(queries); i++)
		if (queries[i].name && strlen(queries[i].name) > 1 << 20)
			abort();
	scratch_release(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	char path[FILE_PATH_BYTES], hex[ELFFILE_BUILD_ID_BYTES];
	struct elffile f;
	int fd;

	file_fill(bytes, count, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (elffile_init_fd(&f, fd) == 0) {
		elffile_build_id(&f, hex);
		if (strlen(hex) >= sizeof(hex))
			abort();
	}
	close(fd);
	look_up(path);
	return 0;
}

/* Any file in the place of /proc/self/smaps: ranges come in order, none twice. */
#include <string.h>

#include "file.h"
#include "proc/smaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct smaps_mapping m;
	struct smaps smaps;
	char path[FILE_PATH_BYTES];
	uint64_t end = 0;

	file_fill(bytes, count, path);
	if (smaps_open_path(&smaps, &scratch, path) == 0)
		while (smaps_next(&smaps, &m)) {
			if (m.start >= m.end || m.start < end || strlen(m.path) > count)
				abort();
			end = m.end;
		}
	smaps_close(&smaps);
	scratch_release(&scratch);
	return 0;
}

/*
 * Room config: what was asked for by the environment, and what is said on stderr.  Read once, in
 * the constructor; no lock.
 *
 * CGOHEAP_* from the environment (and XDG_RUNTIME_DIR, where the socket goes),
 * read once in the constructor.
 *
 * A bad value prints one line on stderr (write(2), no allocation) that names
 * the variable, the value and what is allowed; the default then holds.  A
 * CGOHEAP_ variable that does not exist gets one line too.
 */
#ifndef CGOHEAP_CONFIG_H
#define CGOHEAP_CONFIG_H

#include "base/base.h"

#define CONFIG_PATH_BYTES 108 /* sizeof sockaddr_un.sun_path, NUL included */

#define CONFIG_DEFAULT_SAMPLE_BYTES 524288u
#define CONFIG_MAX_SAMPLE_BYTES     (1u << 30)
#define CONFIG_DEFAULT_MEMORY       (32 * MIB)
#define CONFIG_MIN_MEMORY           (4 * MIB)
#define CONFIG_DEFAULT_CPU_PPM      10000u /* 1 percent of one core */
#define CONFIG_MAX_MEMORY           (1024 * MIB)

struct config {
	bool start_dormant;
	bool any_program;
	bool follow_fork;      /* a child of fork goes on */
	uint32_t sample_bytes; /* 1..CONFIG_MAX_SAMPLE_BYTES; 1 = every allocation */
	uint64_t max_memory_bytes;
	uint32_t max_cpu_ppm; /* of one core, for recording */
	bool max_cpu_given;
	char socket_path[CONFIG_PATH_BYTES]; /* as given; "" = the default place */
	char runtime_dir[CONFIG_PATH_BYTES]; /* XDG_RUNTIME_DIR; "" none */
	bool listen;                         /* CGOHEAP_LISTEN given and good */
	uint32_t listen_address;             /* IPv4, host order, in 127.0.0.0/8 */
	uint16_t listen_port;                /* 0 = any free one (shown in /v1/status) */
	char recorder_dir[256];              /* "" = off */
};

/*
 * Reads environ into *config; everything not said has its default.  quiet: say
 * nothing (a process that the shim stays passive in).  Sizes are bytes with an
 * optional suffix: 524288, 512KiB, 1MiB (K, KB, Ki, KiB, M ..., G ..., all binary, any case).
 */
void config_read(struct config *config, char *const *environ_block, bool quiet);

/* A variable's value in it, as getenv has it; NULL: not there. */
const char *config_find(char *const *environ_block, const char *name);

/* "512KiB" -> 524288; false where text is not a size. Shared with the server's query parameters. */
bool config_parse_bytes(const char *text, uint64_t *bytes);
/* "90s", "10m", "1h30m", "250ms" (as Go's time.ParseDuration, no sign) or plain seconds "30" ->
 * nanoseconds. */
bool config_parse_duration(const char *text, uint64_t *ns);

#endif

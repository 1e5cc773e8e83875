/*
 * Room config: the environment variables, and messages on stderr.  Read once, in the constructor;
 * no lock.
 *
 * Reads CGOHEAP_* and XDG_RUNTIME_DIR (the socket's directory).
 *
 * An invalid value prints one line on stderr (write(2), no allocation) with the variable, the
 * value and what is allowed; the default is used.  An unknown CGOHEAP_ variable gets one line
 * too.
 */
#ifndef CGOHEAP_CONFIG_H
#define CGOHEAP_CONFIG_H

#include "base/base.h"

#define CONFIG_PATH_BYTES 108 /* sizeof(sockaddr_un.sun_path), NUL included */

#define CONFIG_DEFAULT_SAMPLE_BYTES 524288u
#define CONFIG_MAX_SAMPLE_BYTES     (1u << 30)
#define CONFIG_DEFAULT_MEMORY       (32 * MIB)
#define CONFIG_MIN_MEMORY           (4 * MIB)
#define CONFIG_DEFAULT_CPU_PPM      10000u /* 1 percent of one core */
#define CONFIG_MAX_MEMORY           (1024 * MIB)

struct config {
	bool start_dormant;
	bool any_program;
	bool verbose;          /* say why it stays passive, or uses no usual place */
	bool follow_fork;      /* keep profiling in forked children */
	uint32_t sample_bytes; /* 1..CONFIG_MAX_SAMPLE_BYTES; 1 = every allocation */
	uint64_t max_memory_bytes;
	uint32_t max_cpu_ppm; /* of one core, for recording */
	bool max_cpu_given;
	char socket_path[CONFIG_PATH_BYTES]; /* as given; "" = the default path */
	char runtime_dir[CONFIG_PATH_BYTES]; /* XDG_RUNTIME_DIR; "" = none */
	bool listen;                         /* CGOHEAP_LISTEN was given and is valid */
	uint32_t listen_address;             /* IPv4, host order, in 127.0.0.0/8 */
	uint16_t listen_port;                /* 0 = any free port (shown in /v1/status) */
	char recorder_dir[256];              /* "" = off */
	bool leak_check; /* the recording is for a leak check: recorder_file.h */
};

/*
 * Reads environ_block into *config; unset variables have their defaults.  quiet: print
 * nothing (for processes in which the shim stays passive).  Sizes are bytes with an
 * optional suffix: 524288, 512KiB, 1MiB (K, KB, Ki, KiB, M ..., G ..., all binary, any case).
 */
void config_read(struct config *config, char *const *environ_block, bool quiet);

/* Like getenv on environ_block; NULL if unset. */
const char *config_find(char *const *environ_block, const char *name);

/* "512KiB" -> 524288; -1: not a size.  Also for the server's query parameters. */
int config_parse_bytes(const char *text, uint64_t *bytes);
/* "90s", "10m", "1h30m", "250ms" (as Go's time.ParseDuration, no sign) or plain seconds "30" ->
 * nanoseconds. */
int config_parse_duration(const char *text, uint64_t *ns);

#endif

/*
 * One table of variables, one small reader each.  A reader changes the default only if
 * the whole value is valid.
 */
#include "config/config.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/sys.h"
#include "config/log.h"

#define PREFIX "CGOHEAP_"

/* ---- sizes, durations, addresses ---------------------------------------- */

/* "", "b", "k", "kb", "ki", "kib", "m", ... in any case, as a shift; -1: not a suffix. */
static int size_suffix_shift(const char *suffix)
{
	static const char letters[] = "kmg";
	int shift = 0;
	const char *letter = *suffix != '\0' ? strchr(letters, ascii_lower(*suffix)) : NULL;
	if (letter != NULL) {
		shift = 10 * (int)(letter - letters + 1);
		suffix++;
		if (ascii_lower(*suffix) == 'i')
			suffix++;
	}
	if (ascii_lower(*suffix) == 'b')
		suffix++;
	return *suffix == '\0' ? shift : -1;
}

int config_parse_bytes(const char *text, uint64_t *bytes)
{
	uint64_t n;
	if (!ascii_number(&text, &n))
		return -1;
	int shift = size_suffix_shift(text);
	if (shift < 0 || n > UINT64_MAX >> shift)
		return -1;
	*bytes = n << shift;
	return 0;
}

static const struct duration_unit {
	const char *name;
	uint64_t ns;
} duration_units[] = {
	/* longer names before those that are their prefix */
	{"ns", 1},
	{"us", 1000},
	{"\xc2\xb5s", 1000}, /* micro sign */
	{"\xce\xbcs", 1000}, /* Greek mu */
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", 60 * UINT64_C(1000000000)},
	{"h", 3600 * UINT64_C(1000000000)},
};

static uint64_t parse_unit(const char **text)
{
	for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
		const char *after = ascii_after(*text, duration_units[i].name);
		if (after) {
			*text = after;
			return duration_units[i].ns;
		}
	}
	return 0;
}

/* The part after a decimal point, in 1e-9 of the unit; ignores digits after the ninth. */
static int parse_fraction(const char **text, uint64_t *billionths)
{
	*billionths = 0;
	if (**text != '.')
		return 0;
	const char *p = *text + 1;
	uint64_t place = 100000000;
	for (; ascii_is_digit(*p); p++, place /= 10)
		*billionths += (uint64_t)(*p - '0') * place;
	bool any = p != *text + 1;
	*text = p;
	return any ? 0 : -1;
}

int config_parse_duration(const char *text, uint64_t *ns)
{
	unsigned __int128 total = 0;
	const char *start = text;
	do {
		uint64_t whole, billionths;
		bool plain = text == start;
		if (!ascii_number(&text, &whole) || parse_fraction(&text, &billionths))
			return -1;
		plain = plain && *text == '\0'; /* "30" is seconds; "1h30" is a mistake */
		uint64_t unit = plain ? UINT64_C(1000000000) : parse_unit(&text);
		if (unit == 0)
			return -1;
		total += (unsigned __int128)whole * unit;
		total += (unsigned __int128)billionths * unit / 1000000000u;
		if (total > INT64_MAX)
			return -1;
	} while (*text != '\0');
	*ns = (uint64_t)total;
	return 0;
}

/* Exactly four decimal numbers up to end ("127.1.2.3"); host order. */
static int parse_ipv4(const char *text, const char *end, uint32_t *address)
{
	*address = 0;
	for (int part = 0; part < 4; part++) {
		uint64_t n;
		if (part > 0 && *text++ != '.')
			return -1;
		const char *digits = text;
		if (!ascii_number(&text, &n) || n > 255 || text - digits > 3)
			return -1;
		*address = *address << 8 | (uint32_t)n;
	}
	return text == end ? 0 : -1;
}

/* ---- the variables ------------------------------------------------------ */

struct reading {
	struct config *config;
	const char *name, *value;
	bool quiet;
};

/* Complains about the value: `invalid NAME "value": `, what is expected, what is used instead. */
__attribute__((format(printf, 2, 3))) static void reject(const struct reading *r,
							 const char *format, ...)
{
	char what[256], quoted[LOG_QUOTE_BYTES];
	va_list args;
	if (r->quiet)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	log_complain("invalid %s %s: %s", r->name, log_quote(quoted, r->value), what);
}

static void read_start(const struct reading *r)
{
	if (strcmp(r->value, "dormant") == 0)
		r->config->start_dormant = true;
	else if (strcmp(r->value, "sampling") != 0)
		reject(r, "expected \"sampling\" or \"dormant\"; using sampling");
}

static void read_switch(const struct reading *r, bool *on)
{
	if (strcmp(r->value, "1") == 0)
		*on = true;
	else if (strcmp(r->value, "0") != 0)
		reject(r, "expected 1 or 0; using 0");
}

static void read_any(const struct reading *r)
{
	read_switch(r, &r->config->any_program);
}

static void read_verbose(const struct reading *r)
{
	read_switch(r, &r->config->verbose);
}

static void read_follow_fork(const struct reading *r)
{
	read_switch(r, &r->config->follow_fork);
}

static void read_leak_check(const struct reading *r)
{
	read_switch(r, &r->config->leak_check);
}

/* For cgo_bridge/leaktest. */
static void read_required(const struct reading *r)
{
	bool is_required;
	read_switch(r, &is_required);
}

/* Reads a size within bounds; otherwise leaves *bytes as it is. */
static void read_bytes(const struct reading *r, uint64_t low, uint64_t high, const char *example,
		       uint64_t *bytes)
{
	uint64_t n;
	if (config_parse_bytes(r->value, &n) == 0 && n >= low && n <= high)
		*bytes = n;
	else
		reject(r, "expected %llu to %llu bytes, e.g. %s; using %llu",
		       (unsigned long long)low, (unsigned long long)high, example,
		       (unsigned long long)*bytes);
}

static void read_sample_bytes(const struct reading *r)
{
	uint64_t n = r->config->sample_bytes;
	read_bytes(r, 1, CONFIG_MAX_SAMPLE_BYTES, "524288 or 512KiB", &n);
	r->config->sample_bytes = (uint32_t)n;
}

static void read_max_memory(const struct reading *r)
{
	read_bytes(r, CONFIG_MIN_MEMORY, CONFIG_MAX_MEMORY, "33554432 or 32MiB",
		   &r->config->max_memory_bytes);
}

/* "1", "0.5" or "2.5%": of one core. */
static void read_max_cpu(const struct reading *r)
{
	const char *text = r->value;
	uint64_t whole, billionths;
	if (ascii_number(&text, &whole) && parse_fraction(&text, &billionths) == 0 &&
	    (*text == '\0' || strcmp(text, "%") == 0) && whole <= 100) {
		uint64_t ppm = whole * 10000 + billionths / 100000;
		if (ppm >= 100 && ppm <= 1000000) {
			r->config->max_cpu_ppm = (uint32_t)ppm;
			r->config->max_cpu_given = true;
			return;
		}
	}
	reject(r, "expected 0.01 to 100 percent of one core, e.g. 0.5; using 1");
}

static void read_socket(const struct reading *r)
{
	size_t n = strlen(r->value);
	if (n < CONFIG_PATH_BYTES)
		memcpy(r->config->socket_path, r->value, n + 1);
	else
		reject(r, "expected a path of at most %d bytes, not %zu; using the default path",
		       CONFIG_PATH_BYTES - 1, n);
}

static void read_listen(const struct reading *r)
{
	uint32_t address;
	uint64_t port;
	const char *colon = strrchr(r->value, ':');
	if (colon == NULL) {
		reject(r, "expected HOST:PORT, e.g. 127.0.0.1:6061; not listening on TCP");
		return;
	}
	const char *digits = colon + 1;
	if (!ascii_number(&digits, &port) || *digits != '\0' || port > 65535) {
		reject(r, "expected a port from 0 to 65535, e.g. 127.0.0.1:6061; "
			  "not listening on TCP");
		return;
	}
	if (colon - r->value == 9 && memcmp(r->value, "localhost", 9) == 0) {
		address = 0x7f000001;
	} else if (parse_ipv4(r->value, colon, &address) || address >> 24 != 127) {
		reject(r, "expected a loopback address, e.g. 127.0.0.1:%u; not listening on TCP",
		       (unsigned)port);
		return;
	}
	r->config->listen = true;
	r->config->listen_address = address;
	r->config->listen_port = (uint16_t)port;
}

static void read_recorder(const struct reading *r)
{
	size_t n = strlen(r->value);
	if (n < sizeof(r->config->recorder_dir))
		memcpy(r->config->recorder_dir, r->value, n + 1);
	else
		reject(r, "expected a path of at most %zu bytes, not %zu; no recorder",
		       sizeof(r->config->recorder_dir) - 1, n);
}

static const struct setting {
	const char *name;
	void (*read)(const struct reading *r);
} settings[] = {
	{PREFIX "START", read_start},
	{PREFIX "SAMPLE_BYTES", read_sample_bytes},
	{PREFIX "SOCKET", read_socket},
	{PREFIX "LISTEN", read_listen},
	{PREFIX "MAX_MEMORY", read_max_memory},
	{PREFIX "MAX_CPU", read_max_cpu},
	{PREFIX "BLACKBOX", read_recorder},
	{PREFIX "ANY", read_any},
	{PREFIX "FOLLOW_FORK", read_follow_fork},
	{PREFIX "LEAK_CHECK", read_leak_check},
	{PREFIX "REQUIRED", read_required},
	{PREFIX "VERBOSE", read_verbose},
};

/* The value if entry is name=value, else NULL. */
static const char *entry_value(const char *entry, const char *name)
{
	const char *after = ascii_after(entry, name);
	return after && *after == '=' ? after + 1 : NULL;
}

/* Like getenv, returns the first match. */
const char *config_find(char *const *environ_block, const char *name)
{
	for (; *environ_block != NULL; environ_block++) {
		const char *value = entry_value(*environ_block, name);
		if (value != NULL)
			return value;
	}
	return NULL;
}

static bool is_known(const char *entry)
{
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		if (entry_value(entry, settings[i].name) != NULL)
			return true;
	return false;
}

static void complain_unknown(const char *entry)
{
	char name[64], quoted[LOG_QUOTE_BYTES], known[256];
	size_t n = 0;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(entry, "="), entry);
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", i == 0 ? "" : ", ",
				      settings[i].name);
	log_complain("unknown variable %s: expected one of %s; ignoring it",
		     log_quote(quoted, name), known);
}

static void read_runtime_dir(struct config *config, char *const *environ_block)
{
	const char *value = config_find(environ_block, "XDG_RUNTIME_DIR");
	if (value != NULL && *value == '/' && strlen(value) < CONFIG_PATH_BYTES)
		strcpy(config->runtime_dir, value);
}

void config_read(struct config *config, char *const *environ_block, bool quiet)
{
	static char *const nothing[] = {NULL};
	*config = (struct config){
		.sample_bytes = CONFIG_DEFAULT_SAMPLE_BYTES,
		.max_memory_bytes = CONFIG_DEFAULT_MEMORY,
		.max_cpu_ppm = CONFIG_DEFAULT_CPU_PPM,
	};
	if (environ_block == NULL)
		environ_block = nothing;
	read_runtime_dir(config, environ_block);
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		const char *value = config_find(environ_block, settings[i].name);
		if (value != NULL && *value != '\0')
			settings[i].read(&(struct reading){config, settings[i].name, value, quiet});
	}
	for (; !quiet && *environ_block != NULL; environ_block++)
		if (ascii_begins(*environ_block, PREFIX) && !is_known(*environ_block))
			complain_unknown(*environ_block);
}

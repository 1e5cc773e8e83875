/* See procinfo.h.  Formats: proc(5), and the kernel's cgroup-v1/memory and cgroup-v2. */
#include "proc/procinfo.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/ownfd.h"
#include "base/sys.h"
#include "text/procfile.h"

#define PATH_BYTES 1024

/* ---- names and figures, line by line ------------------------------------ */

struct figure {
	const char *name; /* the start of the line */
	uint64_t *value;
};

/* Parses one line.  unit: bytes per unit of the figure. */
static void take_figures(const char *line, const struct figure *figures, size_t count,
			 uint64_t unit)
{
	for (size_t i = 0; i < count; i++) {
		const char *at = ascii_after(line, figures[i].name);
		uint64_t n;
		if (!at)
			continue;
		while (*at == ' ' || *at == '\t')
			at++;
		if (procfile_number(&at, 10, &n))
			*figures[i].value = n * unit;
		return;
	}
}

static void read_figures(struct scratch *scratch, const char *path, const struct figure *figures,
			 size_t count, uint64_t unit)
{
	struct procfile lines;
	const char *line;
	for (size_t i = 0; i < count; i++)
		*figures[i].value = UNKNOWN;
	if (procfile_open(&lines, scratch, path) == 0)
		while ((line = procfile_next(&lines)) != NULL)
			take_figures(line, figures, count, unit);
	procfile_close(&lines);
}

/* ---- the process -------------------------------------------------------- */

void procinfo_read_status(struct scratch *scratch, const char *path, struct process_stats *out)
{
	const struct figure kib[] = {
		{"VmHWM:", &out->vm_hwm},       {"VmRSS:", &out->vm_rss},
		{"RssAnon:", &out->rss_anon},   {"RssFile:", &out->rss_file},
		{"RssShmem:", &out->rss_shmem}, {"VmData:", &out->vm_data},
		{"VmStk:", &out->vm_stk},       {"VmSize:", &out->vm_size},
		{"VmSwap:", &out->vm_swap},
	};
	const struct figure count[] = {{"Threads:", &out->threads}};
	if (!path)
		path = "/proc/self/status";
	read_figures(scratch, path, kib, COUNT_OF(kib), KIB);
	read_figures(scratch, path, count, COUNT_OF(count), 1);
}

/* ---- finding the cgroup -------------------------------------------------- */

struct place {
	int version;            /* 0: not found */
	char path[256];         /* of the process, from /proc/self/cgroup */
	char mount[PATH_BYTES]; /* where its hierarchy is mounted */
	char top[256];          /* the cgroup that is mounted there */
};

/* Whether a comma-separated list contains the word. */
static bool list_has(const char *list, size_t bytes, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = list, *end = list + bytes; at < end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t length = (size_t)((comma ? comma : end) - at);
		if (length == n && memcmp(at, word, n) == 0)
			return true;
		at += length + 1;
	}
	return false;
}

/* "hierarchy:controllers:path".  A v1 hierarchy with memory takes precedence: v2 then lacks it. */
static void find_path(struct scratch *scratch, const char *root, struct place *place)
{
	char file[PATH_BYTES];
	struct procfile lines;
	const char *line;
	snprintf(file, sizeof(file), "%s/proc/self/cgroup", root);
	procfile_open(&lines, scratch, file);
	while ((line = procfile_next(&lines)) != NULL) {
		const char *list = strchr(line, ':');
		const char *path = list ? strchr(list + 1, ':') : NULL;
		if (!path || strlen(path + 1) >= sizeof(place->path))
			continue;
		bool is_v1 = list_has(list + 1, (size_t)(path - list - 1), "memory");
		bool is_v2 = ascii_begins(line, "0::");
		if (!is_v1 && (!is_v2 || place->version == 1))
			continue;
		place->version = is_v1 ? 1 : 2;
		strcpy(place->path, path + 1);
	}
	procfile_close(&lines);
}

/* The nth field (from 0) between single spaces, and its length; NULL: none. */
static const char *field(const char *line, unsigned n, size_t *bytes)
{
	for (; n > 0; n--) {
		line = strchr(line, ' ');
		if (!line)
			return NULL;
		line++;
	}
	*bytes = strcspn(line, " ");
	return line;
}

static void copy_field(char *to, size_t room, const char *from, size_t bytes)
{
	if (bytes >= room)
		bytes = 0;
	memcpy(to, from, bytes);
	to[bytes] = 0;
}

/* "id parent major:minor root mount-point options optional... - type source super-options" */
static int take_mount(const char *line, struct place *place)
{
	const char *rest = strstr(line, " - ");
	size_t options_bytes = 0, top_bytes = 0, mount_bytes = 0;
	if (!rest)
		return -1;
	const char *type = rest + 3;
	const char *options = field(type, 2, &options_bytes);
	const char *top = field(line, 3, &top_bytes), *mount = field(line, 4, &mount_bytes);
	size_t type_bytes = strcspn(type, " ");
	if (!options || !top || !mount)
		return -1;
	bool is_v2 = type_bytes == 7 && memcmp(type, "cgroup2", 7) == 0;
	bool is_v1 = type_bytes == 6 && memcmp(type, "cgroup", 6) == 0 &&
		     list_has(options, options_bytes, "memory");
	if (place->version == 1 ? !is_v1 : !is_v2)
		return -1;
	copy_field(place->mount, sizeof(place->mount), mount, mount_bytes);
	copy_field(place->top, sizeof(place->top), top, top_bytes);
	return place->mount[0] != 0 ? 0 : -1;
}

static bool find_mount(struct scratch *scratch, const char *root, struct place *place)
{
	char file[PATH_BYTES];
	struct procfile lines;
	const char *line;
	bool found = false;
	snprintf(file, sizeof(file), "%s/proc/self/mountinfo", root);
	procfile_open(&lines, scratch, file);
	while (!found && (line = procfile_next(&lines)) != NULL)
		found = take_mount(line, place) == 0;
	procfile_close(&lines);
	return found;
}

/*
 * The process's path below the mount point.  If the mount shows a subtree that contains
 * the process ("/docker/ID" in a container without a cgroup namespace), that prefix is
 * removed.  If the process is outside the subtree, use the mount's top.
 */
static const char *below_mount(const struct place *place)
{
	const char *path = place->path;
	if (strcmp(place->top, "/") != 0) {
		path = ascii_after(place->path, place->top);
		if (!path || (*path != '/' && *path != 0))
			path = "";
	}
	/* "/../other" is outside the cgroup namespace. */
	if (strcmp(path, "/") == 0 || ascii_begins(path, "/.."))
		path = "";
	return path;
}

/* ---- the cgroup's figures ------------------------------------------------ */

struct cgroup_files {
	const char *current, *limit;
	struct {
		const char *anon, *file, *kernel, *swap; /* lines of memory.stat */
	} stat;
	const char *kernel, *swap; /* separate files; NULL: in memory.stat */
};

static const struct cgroup_files v1 = {
	.current = "memory.usage_in_bytes",
	.limit = "memory.limit_in_bytes",
	.stat = {"rss ", "cache ", "kernel ", "swap "},
	.kernel = "memory.kmem.usage_in_bytes",
};
static const struct cgroup_files v2 = {
	.current = "memory.current",
	.limit = "memory.max",
	.stat = {"anon ", "file ", "kernel ", "swap "},
	.swap = "memory.swap.current",
};

/* -1: missing, or not a number ("max"). */
static int read_file(const char *directory, const char *name, uint64_t *out)
{
	char path[PATH_BYTES];
	int n = snprintf(path, sizeof(path), "%s/%s", directory, name);
	return n < (int)sizeof(path) && procfile_read_number(path, out) == 0 ? 0 : -1;
}

/* v1 reports "no limit" as the largest page count in bytes, which is above this. */
#define V1_NO_LIMIT (UINT64_C(1) << 62)

/* The lowest limit of the cgroup and its ancestors up to base, the length of the top's path.
 * Shortens directory. */
static uint64_t lowest_limit(const struct cgroup_files *files, char *directory, size_t base)
{
	uint64_t lowest = UNKNOWN, limit;
	for (;;) {
		if (read_file(directory, files->limit, &limit) == 0 && limit < lowest &&
		    limit < V1_NO_LIMIT)
			lowest = limit;
		char *slash = strrchr(directory, '/');
		if (!slash || (size_t)(slash - directory) < base)
			return lowest;
		*slash = 0;
	}
}

static void read_figures_of(struct scratch *scratch, const struct cgroup_files *files,
			    const char *directory, struct cgroup_stats *out)
{
	const struct figure stat[] = {{files->stat.anon, &out->anon},
				      {files->stat.file, &out->file},
				      {files->stat.kernel, &out->kernel},
				      {files->stat.swap, &out->swap}};
	char path[PATH_BYTES + 16];
	if (read_file(directory, files->current, &out->current))
		out->current = UNKNOWN;
	snprintf(path, sizeof(path), "%s/memory.stat", directory);
	read_figures(scratch, path, stat, COUNT_OF(stat), 1);
	if (files->kernel && read_file(directory, files->kernel, &out->kernel))
		out->kernel = UNKNOWN;
	if (files->swap && read_file(directory, files->swap, &out->swap))
		out->swap = UNKNOWN;
}

void procinfo_read_cgroup(struct scratch *scratch, const char *root, struct cgroup_stats *out)
{
	char directory[PATH_BYTES];
	struct place *place = scratch_alloc(scratch, sizeof(*place));
	*out = (struct cgroup_stats){.current = UNKNOWN,
				     .limit = UNKNOWN,
				     .anon = UNKNOWN,
				     .file = UNKNOWN,
				     .kernel = UNKNOWN,
				     .swap = UNKNOWN};
	if (!place)
		return;
	find_path(scratch, root, place);
	if (!place->version)
		return;
	out->version = place->version;
	strcpy(out->path, place->path);
	if (!find_mount(scratch, root, place))
		return;
	const struct cgroup_files *files = place->version == 1 ? &v1 : &v2;
	int base = snprintf(directory, sizeof(directory), "%s%s", root, place->mount);
	int n = snprintf(directory, sizeof(directory), "%s%s%s", root, place->mount,
			 below_mount(place));
	if (n >= (int)sizeof(directory))
		return;
	read_figures_of(scratch, files, directory, out);
	out->limit = lowest_limit(files, directory, (size_t)base);
}

static struct own_fd statm = {.fd = -1};
static int statm_of; /* PID; 0: not opened yet */

void procinfo_open_resident(void)
{
	own_fd_close(&statm);
	statm = own_fd_take((int)sys_move_up(sys_open_read("/proc/self/statm")));
	statm_of = sys_getpid();
}

/* A child of fork has its parent's. Where no number is left for it, none is tried again. */
static int statm_descriptor(void)
{
	if (statm_of != sys_getpid() || (statm.fd >= 0 && !own_fd_is_ours(&statm)))
		procinfo_open_resident();
	return statm.fd;
}

/* "size resident shared ...", in pages. */
struct process_resident procinfo_resident(void)
{
	const struct process_resident none = {UNKNOWN, UNKNOWN};
	int fd = statm_descriptor();
	char text[128];
	const char *at = text;
	uint64_t size, all, files;

	if (fd < 0)
		return none;
	long n = sys_pread(fd, text, sizeof(text) - 1, 0);
	text[sys_failed(n) ? 0 : n] = '\0';
	if (!procfile_number(&at, 10, &size) || !procfile_skip(&at, ' ') ||
	    !procfile_number(&at, 10, &all) || !procfile_skip(&at, ' ') ||
	    !procfile_number(&at, 10, &files) || files > all)
		return none;
	return (struct process_resident){all * pagemap_page_bytes(), files * pagemap_page_bytes()};
}

void procinfo_executable(char *path, size_t bytes)
{
	long n = sys_call(readlinkat, AT_FDCWD, "/proc/self/exe", path, bytes - 1);

	path[sys_failed(n) ? 0 : n] = '\0';
}

/*
 * Prints how the bytes of a recording lie, as Go structs that encoding/binary reads
 * (tools/generate): `layout PACKAGE`; or the JSON schema of a second: `schema`.
 */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pagemap.h"
#include "record/labelsets.h"
#include "record/live.h"
#include "record/peak.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "recorder/recorder.h"
#include "region/region.h"

/* "go_is_1_20" is GoIs120. */
static void print_camel(const char *name)
{
	static const char *const initials[] = {"cpu", "crc", "elf", "id", "pid", "rss"};
	for (const char *p = name; *p; p += strspn(p, "_")) {
		size_t n = strcspn(p, "_"), upper = 1;
		for (size_t i = 0; i < sizeof(initials) / sizeof(*initials); i++)
			if (strlen(initials[i]) == n && strncmp(p, initials[i], n) == 0)
				upper = n;
		for (size_t i = 0; i < n; i++)
			putchar(i < upper ? toupper(p[i]) : p[i]);
		p += n;
	}
}

/* Where the next field of the struct that is printed would lie. */
static size_t end_of_last;

static void gap_until(size_t offset)
{
	if (offset > end_of_last)
		printf("\t_ [%zu]byte\n", offset - end_of_last);
}

/* Of a recording's structs the package's name says the first half. */
static const char *short_name(const char *name)
{
	const char *rest = strstr(name, "recording_");
	return rest == name ? name + strlen("recording_") : name;
}

static void begin_struct(const char *name)
{
	end_of_last = 0;
	printf("// ");
	print_camel(short_name(name));
	printf(" is struct %s, as far as it is read.\ntype ", name);
	print_camel(short_name(name));
	printf(" struct {\n");
}

/* In place of a struct, the members that its fields are in JSON, or their keys. */
static enum { STRUCT, MEMBERS, KEYS } mode;
static const char *comma = "";

static void schema(const char *key, const char *type)
{
	if (mode == KEYS)
		printf("%s\"%s\"", comma, key);
	else
		printf("%s\n    \"%s\": {\"type\": %s}", comma, key,
		       !type                       ? "\"integer\""
		       : strcmp(type, "Time") == 0 ? "\"string\""
						   : "[\"integer\", \"null\"]");
	comma = mode == KEYS ? ", " : ",";
}

/* Fields are given in their order. */
static void check_field(const char *name, size_t offset, size_t bytes, const char *type)
{
	bool is_word = type && (strcmp(type, "Figure") == 0 || strcmp(type, "Time") == 0);
	if (offset >= end_of_last && (!is_word || bytes == 8))
		return;
	fprintf(stderr, "tools/generate_layout.c: %s is out of order or no uint64_t\n", name);
	exit(1);
}

/* type NULL: an unsigned number.  element: of an array, else 0.  key: in JSON; "" none. */
static void field(const char *name, size_t offset, size_t bytes, size_t element, const char *type,
		  const char *key)
{
	if (mode != STRUCT) {
		if (key && *key)
			schema(key, type);
		return;
	}
	check_field(name, offset, bytes, type);
	gap_until(offset);
	putchar('\t');
	print_camel(name);
	putchar(' ');
	if (element)
		printf("[%zu]", bytes / element);
	if (type)
		printf("%s", type);
	else
		printf("uint%zu", 8 * (element ? element : bytes));
	if (key)
		printf(" `json:\"%s\"`", *key ? key : "-");
	printf("\n");
	end_of_last = offset + bytes;
}

static void end_struct(const char *name, size_t bytes)
{
	name = short_name(name);
	gap_until(bytes);
	printf("}\n\n// ");
	print_camel(name);
	printf("Bytes is its size.\nconst ");
	print_camel(name);
	printf("Bytes = %zu\n\n", bytes);
}

#define SIZE(s, f)        sizeof(((struct s *)0)->f)
#define ELEMENT(s, f)     sizeof(((struct s *)0)->f[0])
#define NUMBER(s, f)      field(#f, offsetof(struct s, f), SIZE(s, f), 0, NULL, NULL)
#define NUMBERS(s, f)     field(#f, offsetof(struct s, f), SIZE(s, f), ELEMENT(s, f), NULL, "")
#define TEXT(s, f)        field(#f, offsetof(struct s, f), SIZE(s, f), 1, "byte", NULL)
#define AS(s, f, type)    field(#f, offsetof(struct s, f), SIZE(s, f), 0, type, NULL)
#define ARRAY(s, f, type) field(#f, offsetof(struct s, f), SIZE(s, f), ELEMENT(s, f), type, NULL)
#define OBJECTS(f, element, type)                                                                  \
	field(#f, offsetof(struct site, f) - SITE_BYTES, SIZE(site, f), element, type, NULL)
/* Of a second; those with a key are members in what autopsy --json prints. */
#define FIGURE(f, key)                                                                             \
	field(#f, offsetof(struct recording_second, f), SIZE(recording_second, f), 0, "Figure", key)
#define MEMBER(f, key)                                                                             \
	field(#f, offsetof(struct recording_second, f), SIZE(recording_second, f), 0, NULL, key)

static void print_region(void)
{
	begin_struct("region_table");
	NUMBER(region_table, offset);
	NUMBER(region_table, bytes);
	end_struct("region_table", sizeof(struct region_table));

	begin_struct("region_peak");
	NUMBER(region_peak, now);
	NUMBER(region_peak, highest);
	AS(region_peak, other_bytes, "Figure");
	NUMBER(region_peak, tick);
	end_struct("region_peak", sizeof(struct region_peak));

	begin_struct("region_header");
	NUMBER(region_header, magic);
	NUMBER(region_header, version);
	NUMBER(region_header, region_bytes);
	AS(region_header, start_realtime_ns, "Time");
	NUMBER(region_header, pid);
	NUMBER(region_header, flags);
	AS(region_header, arena, "RegionTable");
	AS(region_header, stack_buckets, "RegionTable");
	NUMBER(region_header, arena_used);
	AS(region_header, recording, "RegionTable");
	NUMBER(region_header, peaks_since_tick);
	ARRAY(region_header, peaks, "RegionPeak");
	end_struct("region_header", sizeof(struct region_header));
}

static void print_stacks(void)
{
	begin_struct("stack");
	NUMBER(stack, next);
	NUMBER(stack, first_site);
	NUMBER(stack, frame_count);
	NUMBER(stack, labels);
	end_struct("stack", offsetof(struct stack, frames));

	begin_struct("site");
	NUMBER(site, stack);
	NUMBER(site, next);
	NUMBER(site, size);
	NUMBER(site, origin);
	NUMBER(site, mixed);
	NUMBER(site, alloc_objects_turns);
	NUMBER(site, alloc_bytes_turns);
	NUMBER(site, alloc_bytes_fx);
	NUMBER(site, free_bytes_fx);
	ARRAY(site, peak_bytes, "uint64");
	end_struct("site", SITE_BYTES);

	/* What a site without a size has behind it. */
	begin_struct("site_objects");
	OBJECTS(alloc_objects_fx, 0, NULL);
	OBJECTS(free_objects_fx, 0, NULL);
	OBJECTS(peak_objects, ELEMENT(site, peak_objects), "uint64");
	end_struct("site_objects", sizeof(struct site) - SITE_BYTES);

	begin_struct("labelset");
	NUMBER(labelset, hash);
	NUMBER(labelset, bytes);
	NUMBER(labelset, count);
	end_struct("labelset", offsetof(struct labelset, texts));
}

static void print_recording(void)
{
	begin_struct("recording_table");
	NUMBER(recording_table, address);
	NUMBER(recording_table, len);
	end_struct("recording_table", sizeof(struct recording_table));

	begin_struct("recording");
	NUMBER(recording, account_bytes);
	NUMBER(recording, module_room);
	NUMBER(recording, second_room);
	NUMBER(recording, module_count);
	NUMBER(recording, second_count);
	NUMBER(recording, go_text);
	NUMBER(recording, go_etext);
	ARRAY(recording, go_tables, "Table");
	NUMBER(recording, go_is_1_20);
	TEXT(recording, program);
	TEXT(recording, go_version);
	TEXT(recording, shim_version);
	TEXT(recording, go_memory_limit);
	TEXT(recording, malloc_arena_max);
	end_struct("recording", offsetof(struct recording, accounts));

	begin_struct("recording_account");
	NUMBER(recording_account, crc);
	NUMBER(recording_account, bytes);
	NUMBER(recording_account, sequence);
	end_struct("recording_account", offsetof(struct recording_account, json));

	begin_struct("recording_module");
	NUMBER(recording_module, start);
	NUMBER(recording_module, end);
	NUMBER(recording_module, file_offset);
	NUMBER(recording_module, load_bias);
	NUMBER(recording_module, flags);
	TEXT(recording_module, build_id);
	TEXT(recording_module, path);
	end_struct("recording_module", sizeof(struct recording_module));
}

static void print_second_fields(void)
{
	field("time", offsetof(struct recording_second, realtime_ns), 8, 0, "Time", "time");
	FIGURE(rss, "rss_bytes");
	FIGURE(anon, "anon_bytes");
	FIGURE(file, "file_bytes");
	FIGURE(shmem, "shmem_bytes");
	FIGURE(swap, "swap_bytes");
	FIGURE(cgroup_current, "cgroup_current_bytes");
	FIGURE(cgroup_limit, "cgroup_limit_bytes");
	FIGURE(c_live_bytes, "c_live_bytes");
	FIGURE(c_live_objects, "c_live_objects");
	FIGURE(c_mapped_bytes, "c_mapped_bytes");
	FIGURE(thread_stacks, "thread_stack_bytes");
	MEMBER(samples, "");
	MEMBER(dropped, "dropped");
	MEMBER(sample_bytes, "sample_bytes");
	MEMBER(configured_sample_bytes, "");
	FIGURE(allocator_in_use, "allocator_in_use_bytes");
	FIGURE(allocator_free, "allocator_free_bytes");
	FIGURE(allocator_system, "allocator_system_bytes");
	FIGURE(go_heap_in_use, "go_heap_in_use_bytes");
	FIGURE(go_heap_free, "go_heap_free_bytes");
	FIGURE(go_heap_released, "go_heap_released_bytes");
	FIGURE(go_stacks, "go_stacks_bytes");
	field("account_time", offsetof(struct recording_second, account_ns), 8, 0, "Time", "");
	NUMBERS(recording_second, owner_pages);
	MEMBER(unexplained_pages, "");
}

static void print_second(void)
{
	begin_struct("recording_second");
	print_second_fields();
	end_struct("recording_second", sizeof(struct recording_second));
}

static void print_layout(const char *package)
{
	printf("// Code generated by tools/generate from the library's headers. DO NOT EDIT.\n\n"
	       "package %s\n\n",
	       package);
	printf("// What the library's headers define.\nconst (\n"
	       "Magic = %#llx\nVersion = %d\nIsCopied = %u\nLost = %u\nCoarse = %u\n"
	       "ModuleMain = %u\nModuleShim = %u\n"
	       "ModuleHasELF = %u\nOriginMalloc = %d\nOriginThreadStack = %d\nMaxLabels = "
	       "%d\nTextCut = %#x\n"
	       "ObjectBits = %d\nByteBits = %d\nPeakC = %d\nPeakRSS = %d\nPeakNumberBits = %d\n"
	       "PeakTickNs = %llu\nPageBytes = %d\nAccounts = %d\nAccountCRCBytes = "
	       "%zu\n)\n\n",
	       (unsigned long long)REGION_MAGIC, REGION_VERSION, REGION_IS_COPIED, REGION_LOST,
	       REGION_COARSE, RECORDING_MODULE_MAIN, RECORDING_MODULE_SHIM,
	       RECORDING_MODULE_HAS_ELF, ORIGIN_MALLOC, ORIGIN_THREAD_STACK, GOLABELS_MAX,
	       LABELSET_TEXT_CUT, WEIGHT_OBJECT_BITS, WEIGHT_BYTE_BITS, PEAK_C, PEAK_RSS,
	       PEAK_NUMBER_BITS, (unsigned long long)LIVE_TICK_NS, (int)PAGE_BYTES,
	       RECORDING_ACCOUNTS, SIZE(recording_account, crc));
	print_region();
	print_stacks();
	print_recording();
	print_second();
}

static void print_schema(void)
{
	printf("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
	       "  \"title\": \"a second of a recording\",\n"
	       "  \"type\": \"object\", \"properties\": {");
	mode = MEMBERS;
	print_second_fields();
	printf("\n  }, \"required\": [");
	mode = KEYS;
	comma = "";
	print_second_fields();
	printf("]}\n");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "layout") == 0)
		print_layout(argv[2]);
	else if (argc == 2 && strcmp(argv[1], "schema") == 0)
		print_schema();
	else
		return 2;
	return fflush(stdout) ? 1 : 0;
}

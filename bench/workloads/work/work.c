#include "work.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

static long long wall_ns, cpu_ns;

static long long wall(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long cpu(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000LL +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000LL;
}

long work_begin(int argc, char **argv)
{
	long n = argc == 2 ? atol(argv[1]) : 0;

	if (n <= 0) {
		fprintf(stderr, "usage: %s N\n", argc ? argv[0] : "workload");
		exit(2);
	}
	cpu_ns = cpu();
	wall_ns = wall();
	CALLGRIND_START_INSTRUMENTATION;
	return n;
}

static bool dump_jemalloc(const char *file)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t) =
		dlsym(RTLD_DEFAULT, "mallctl");
	return mallctl && mallctl("prof.dump", NULL, NULL, &file, sizeof(file)) == 0;
}

static bool dump_gperftools(const char *reason)
{
	void (*dump)(const char *) = dlsym(RTLD_DEFAULT, "HeapProfilerDump");
	int (*is_running)(void) = dlsym(RTLD_DEFAULT, "IsHeapProfilerRunning");
	if (!dump || !is_running || !is_running())
		return false;
	dump(reason);
	return true;
}

/* A std::string of libstdc++: the sampler has no entry for C. */
struct cxx_string {
	char *text;
	size_t length;
	char local[16];
};

#define GET_HEAP_SAMPLE                                                                            \
	"_ZN15MallocExtension13GetHeapSampleEPNSt7__cxx1112basic_stringIcSt11char_"                \
	"traitsIcESaIcEEE"

static bool dump_tcmalloc(const char *file)
{
	void *(*instance)(void) = dlsym(RTLD_DEFAULT, "_ZN15MallocExtension8instanceEv");
	void (*get)(void *, struct cxx_string *) = dlsym(RTLD_DEFAULT, GET_HEAP_SAMPLE);
	struct cxx_string s = {.text = s.local};
	if (!instance || !get)
		return false;
	get(instance(), &s);
	FILE *f = fopen(file, "w");
	return f && fwrite(s.text, 1, s.length, f) == s.length && fclose(f) == 0;
}

static const struct {
	const char *name;
	bool (*dump)(const char *file);
} dumps[] = {
	{"jemalloc ", dump_jemalloc},
	{"gperftools ", dump_gperftools},
	{"tcmalloc ", dump_tcmalloc},
};

static void serve(const char *line)
{
	for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
		size_t length = strlen(dumps[i].name);
		if (strncmp(line, dumps[i].name, length) != 0)
			continue;
		long long began = wall();
		bool is_done = dumps[i].dump(line + length);
		printf("dumped %lld\n", is_done ? wall() - began : -1);
		fflush(stdout);
	}
}

void work_end(void)
{
	char line[4096];

	CALLGRIND_STOP_INSTRUMENTATION;
	wall_ns = wall() - wall_ns;
	cpu_ns = cpu() - cpu_ns;
	printf("done %lld %lld\n", wall_ns, cpu_ns);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		serve(line);
	}
}

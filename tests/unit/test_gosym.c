/*
 * Handmade Go tables in this program's data, where gomodules_init looks for them; then
 * with every byte wrong.  tests/gosym has real binaries.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "go/gomodules.h"
#include "base/arch.h"
#include "gonote.h"
#include "go/gosym.h"

/*
 * main.outer   0..63   16..31 inlines main.inner, of which 24..31 inlines main.leaf[int]
 * x_cgo_thing  64..127 no line table: C
 * main.f.gowrap1 128..191, a wrapper
 * runtime.systemstack 192..255
 */
#define TEXT_BYTES 256
static struct fake {
	uint64_t header[9];
	char names[160];
	uint32_t cutab[2];
	char files[32];
	uint8_t pctab[64];
	uint8_t funcs[512];
	uint32_t ftab[2 * 5];
	uint8_t gofunc[64];
	uint8_t text[TEXT_BYTES];
	uint64_t module[48];
	uint8_t build_info[48] __attribute__((aligned(16)));
} fake = {.header = {1}}; /* not zero, to be in .data: the file must fill it */

static bool is_1_20;

static uint32_t add_text(char *table, size_t *used, const char *text)
{
	uint32_t at = (uint32_t)*used;

	strcpy(table + at, text);
	*used += strlen(text) + 1;
	return at;
}

/* Pairs of (value, bytes it applies to), ended by 0 bytes. */
static uint32_t add_values(size_t *used, const int *pairs)
{
	uint32_t at = (uint32_t)*used;
	int last = -1;

	for (; pairs[1]; pairs += 2) {
		int delta = pairs[0] - last;

		fake.pctab[(*used)++] = (uint8_t)(delta < 0 ? -2 * delta - 1 : 2 * delta);
		fake.pctab[(*used)++] = (uint8_t)(pairs[1] / ARCH_CODE_BYTES);
		last = pairs[0];
	}
	fake.pctab[(*used)++] = 0;
	return at;
}

struct function {
	uint32_t name, file, line, inline_values, inline_tree, start_line, kind;
};

static void put(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void add_function(size_t index, uint32_t entry, const struct function *f)
{
	uint32_t fixed = is_1_20 ? 44 : 40, at = 8 + 96 * (uint32_t)index;
	uint8_t *func = fake.funcs + at;

	fake.ftab[2 * index] = entry;
	fake.ftab[2 * index + 1] = at;
	put(func, entry);
	put(func + 4, f->name);
	put(func + 20, f->file);
	put(func + 24, f->line);
	put(func + 28, 3); /* npcdata */
	if (is_1_20)
		put(func + 36, f->start_line);
	func[fixed - 4] = (uint8_t)f->kind;
	func[fixed - 1] = 4; /* nfuncdata */
	put(func + fixed + 8, f->inline_values);
	put(func + fixed + 12 + 12, f->inline_tree);
}

static void add_call(size_t index, uint32_t name, uint32_t parent, uint32_t start_line)
{
	uint8_t *call = fake.gofunc + 4 + index * (is_1_20 ? 16 : 20);

	put(call + (is_1_20 ? 4 : 12), name);
	put(call + (is_1_20 ? 8 : 16), parent);
	if (is_1_20)
		put(call + 12, start_line);
}

static void set_slice(size_t word, const void *start, size_t len)
{
	fake.module[word] = (uint64_t)start;
	fake.module[word + 1] = fake.module[word + 2] = len;
}

static void make_module(uint32_t functions, size_t gofunc_word)
{
	fake.header[0] = 0x08000000fffffff0 | (uint64_t)ARCH_CODE_BYTES << 48 | is_1_20;
	fake.header[1] = functions;
	fake.header[4] = offsetof(struct fake, names);
	fake.module[0] = (uint64_t)fake.header;
	set_slice(1, fake.names, sizeof(fake.names));
	set_slice(4, fake.cutab, COUNT_OF(fake.cutab));
	set_slice(7, fake.files, sizeof(fake.files));
	set_slice(10, fake.pctab, sizeof(fake.pctab));
	set_slice(13, fake.funcs, sizeof(fake.funcs));
	set_slice(16, fake.ftab, functions + 1);
	fake.module[20] = fake.module[22] = (uint64_t)fake.text;
	fake.module[21] = fake.module[23] = (uint64_t)fake.text + TEXT_BYTES;
	fake.module[37] = (uint64_t)fake.header; /* types */
	if (is_1_20)                             /* the other end of the types; in 1.27 a length */
		fake.module[38] = gofunc_word == 43 ? 8 : (uint64_t)&fake;
	fake.module[gofunc_word] = (uint64_t)fake.gofunc;
	memcpy(fake.build_info, "\xff Go buildinf:\x08\x02", 16);
	memcpy(fake.build_info + 32, "\x08go1.99.9", 9);
}

static void make(bool since_1_20, size_t gofunc_word)
{
	size_t names = 0, files = 0, values = 1;
	uint32_t outer, inner, leaf, c, wrapper, systemstack, file, line, tree, short_line;

	memset(&fake, 0, sizeof(fake));
	is_1_20 = since_1_20;
	outer = add_text(fake.names, &names, "main.outer");
	inner = add_text(fake.names, &names, "main.inner");
	leaf = add_text(fake.names, &names, "main.leaf[int]");
	c = add_text(fake.names, &names, "x_cgo_thing");
	wrapper = add_text(fake.names, &names, "main.f.gowrap1");
	systemstack = add_text(fake.names, &names, "runtime.systemstack");
	fake.cutab[0] = add_text(fake.files, &files, "/src/a.go");
	fake.cutab[1] = add_text(fake.files, &files, "/src/b.go");
	file = add_values(&values, (int[]){0, 24, 1, 8, 0, 32, 0, 0});
	line = add_values(&values, (int[]){10, 16, 20, 8, 7, 8, 12, 32, 0, 0});
	tree = add_values(&values, (int[]){-1, 16, 0, 8, 1, 8, -1, 32, 0, 0});
	short_line = add_values(&values, (int[]){5, 64, 0, 0});
	/* main.inner called at 8 (line 10); main.leaf at 20, inside main.inner (line 20). */
	add_call(0, inner, 8, 19);
	add_call(1, leaf, 20, 6);
	add_function(0, 0, &(struct function){outer, file, line, tree, 4, 9, 0});
	add_function(1, 64, &(struct function){.name = c, .inline_tree = ~0u});
	add_function(2, 128, &(struct function){wrapper, file, short_line, 0, ~0u, 5, 23});
	add_function(3, 192, &(struct function){systemstack, file, short_line, 0, ~0u, 5, 21});
	fake.ftab[8] = TEXT_BYTES;
	make_module(4, gofunc_word);
}

static uint64_t text_at(uint64_t offset)
{
	return (uint64_t)fake.text + offset;
}

static void check_frame(const struct gosym_frame *f, const char *function, const char *file,
			int line, int start_line)
{
	assert_string_equal(f->function, function);
	assert_string_equal(f->file, file);
	assert_int_equal(f->line, line);
	assert_int_equal(f->start_line, is_1_20 ? start_line : 0);
}

static void check_inlining(void)
{
	struct gosym_frame f[GOSYM_MAX_INLINE];

	assert_int_equal(gosym_frames(text_at(0), f, COUNT_OF(f)), 1);
	check_frame(&f[0], "main.outer", "/src/a.go", 10, 9);
	assert_int_equal(gosym_frames(text_at(23), f, COUNT_OF(f)), 2);
	check_frame(&f[0], "main.inner", "/src/a.go", 20, 19);
	check_frame(&f[1], "main.outer", "/src/a.go", 10, 9);
	assert_int_equal(gosym_frames(text_at(24), f, COUNT_OF(f)), 3);
	check_frame(&f[0], "main.leaf[int]", "/src/b.go", 7, 6);
	check_frame(&f[1], "main.inner", "/src/a.go", 20, 19);
	check_frame(&f[2], "main.outer", "/src/a.go", 10, 9);
	assert_int_equal(gosym_frames(text_at(24), f, 2), 2);
	assert_int_equal(gosym_frames(text_at(24), f, 0), 0);
	assert_int_equal(gosym_frames(text_at(63), f, COUNT_OF(f)), 1);
	check_frame(&f[0], "main.outer", "/src/a.go", 12, 9);
}

static void check_layout(bool since_1_20, size_t gofunc_word)
{
	make(since_1_20, gofunc_word);
	assert_int_equal(gomodules_init(), 0);
	assert_true(gosym_is_go());
	assert_string_equal(gosym_version(), "go1.99.9");
	check_inlining();
}

static void layout_1_18(void **state)
{
	(void)state;
	check_layout(false, 38);
}

static void layout_1_20(void **state)
{
	(void)state;
	check_layout(true, 40);
}

static void layout_1_27(void **state)
{
	(void)state;
	check_layout(true, 43);
}

static void functions_c_and_wrappers(void **state)
{
	struct gosym_func f;
	struct gosym_frame frame;

	(void)state;
	make(true, 40);
	assert_int_equal(gomodules_init(), 0);
	assert_true(gosym_find(text_at(127), &f));
	assert_string_equal(f.name, "x_cgo_thing");
	assert_true(f.is_c && f.entry == text_at(64) && f.end == text_at(128));
	assert_int_equal(gosym_frames(text_at(64), &frame, 1), 1);
	check_frame(&frame, "x_cgo_thing", "", 0, 0);
	assert_true(gosym_find(text_at(128), &f) && !f.is_c);
	assert_int_equal(gosym_frames(text_at(128), &frame, 1), 1);
	check_frame(&frame, "main.f.gowrap1", "/src/a.go", 5, 5);
	assert_true(frame.is_wrapper);
	assert_int_equal(gosym_frames(text_at(192), &frame, 1), 1);
	assert_false(frame.is_wrapper);
}

static void functions_by_name(void **state)
{
	struct gosym_func f;

	(void)state;
	make(true, 40);
	assert_int_equal(gomodules_init(), 0);
	assert_true(gosym_lookup(gomodules_get(0), "x_cgo_thing", &f));
	assert_true(f.entry == text_at(64) && f.end == text_at(128));
	assert_true(gosym_lookup(gomodules_get(0), "main.outer", &f)); /* the first name */
	assert_true(f.entry == text_at(0));
	assert_true(gosym_lookup(gomodules_get(0), "runtime.systemstack", &f));
	assert_true(f.entry == text_at(192) && f.end == text_at(TEXT_BYTES));
	/* Part of a name, and a name that only inlined calls have. */
	assert_false(gosym_lookup(gomodules_get(0), "cgo_thing", &f) ||
		     gosym_lookup(gomodules_get(0), "main.oute", &f));
	assert_false(gosym_lookup(gomodules_get(0), "main.inner", &f) ||
		     gosym_lookup(gomodules_get(0), "main.none", &f));
}

static void outside_of_text(void **state)
{
	const uint64_t outside[] = {0, text_at(-1ull), text_at(TEXT_BYTES), UINT64_MAX};
	struct gosym_func f;
	struct gosym_frame frame;

	(void)state;
	make(true, 40);
	assert_int_equal(gomodules_init(), 0);
	assert_true(gosym_in_text(text_at(0)) && gosym_in_text(text_at(TEXT_BYTES - 1)));
	for (size_t i = 0; i < COUNT_OF(outside); i++) {
		assert_false(gosym_in_text(outside[i]));
		assert_false(gosym_find(outside[i], &f));
		assert_int_equal(gosym_frames(outside[i], &frame, 1), 0);
	}
}

static void a_c_program_is_not_go(void **state)
{
	struct gosym_func f;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	assert_int_equal(gomodules_init(), -1);
	assert_false(gosym_is_go());
	assert_string_equal(gosym_version(), "");
	assert_false(gosym_in_text(text_at(0)) || gosym_find(text_at(0), &f));
}

static void versions_that_do_not_fit(void **state)
{
	const uint8_t flags[] = {0, 2, 2}, lengths[] = {8, 64, 255};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		make(true, 40);
		fake.build_info[15] = flags[i];
		fake.build_info[32] = lengths[i];
		assert_int_equal(gomodules_init(), 0);
		assert_string_equal(gosym_version(), "");
	}
}

/* Whatever the tables contain, answers are strings inside this program. */
static void ask_everything(void)
{
	struct gosym_frame frames[4];
	struct gosym_func f;
	size_t n = 0;

	for (uint64_t at = 0; at < TEXT_BYTES; at += 4) {
		n += gosym_find(text_at(at), &f) ? strlen(f.name) : 0;
		for (size_t i = gosym_frames(text_at(at), frames, COUNT_OF(frames)); i-- > 0;)
			n += strlen(frames[i].function) + strlen(frames[i].file);
	}
	assert_true(n < 1000000);
}

static void spoil(size_t offset)
{
	const uint8_t masks[] = {0x01, 0x80, 0xff, 0x55};
	uint8_t *byte = (uint8_t *)&fake + offset;

	for (size_t i = 0; i < COUNT_OF(masks); i++) {
		*byte ^= masks[i];
		if (gomodules_init() == 0)
			ask_everything();
		*byte ^= masks[i];
	}
}

/*
 * A damaged offset may move a table to another place in our data.  Reading there is
 * correct, but crosses redzones, and the table of inline trees ends with the segment.  So
 * with ASan only the other bytes are damaged, and without it all.
 */
#ifdef __SANITIZE_ADDRESS__
#define SPOIL_END offsetof(struct fake, module)
#define NO_GOFUNC 47
#else
#define SPOIL_END sizeof(struct fake)
#define NO_GOFUNC 0
#endif

static void every_byte_wrong(void **state)
{
	(void)state;
	for (int since_1_20 = 0; since_1_20 < 2; since_1_20++) {
		size_t gofunc_word = since_1_20 ? 40 : 38;

		make(since_1_20, NO_GOFUNC ? NO_GOFUNC : gofunc_word);
		for (size_t offset = 0; offset < SPOIL_END; offset++)
			if (offset < offsetof(struct fake, text) ||
			    offset >= offsetof(struct fake, module))
				spoil(offset);
		make(since_1_20, gofunc_word);
		assert_int_equal(gomodules_init(), 0);
		check_inlining();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_1_18),           cmocka_unit_test(layout_1_20),
		cmocka_unit_test(layout_1_27),           cmocka_unit_test(functions_c_and_wrappers),
		cmocka_unit_test(functions_by_name),     cmocka_unit_test(outside_of_text),
		cmocka_unit_test(a_c_program_is_not_go), cmocka_unit_test(versions_that_do_not_fit),
		cmocka_unit_test(every_byte_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// See libraries.h.
#include "libraries.h"

#include <dlfcn.h>
#include <new>
#include <string>

#include <rocksdb/c.h>
#include <unicode/uclean.h>
#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/ucol.h>
#include <unicode/udat.h>
#include <unicode/uregex.h>

#include "armed.h"

// What the libraries' own operators would do.
void *operator new(size_t bytes)
{
	void *block = armed_malloc(bytes ? bytes : 1);
	if (!block)
		throw std::bad_alloc();
	return block;
}

void *operator new(size_t bytes, const std::nothrow_t &) noexcept
{
	return armed_malloc(bytes ? bytes : 1);
}

void operator delete(void *block) noexcept
{
	armed_free(block);
}

void operator delete(void *block, size_t) noexcept
{
	armed_free(block);
}

namespace
{

// ---- ICU ----

using Text = std::basic_string<UChar>;

Text wide(const std::string &s)
{
	return Text(s.begin(), s.end());
}

void *icu_malloc(const void *, size_t bytes)
{
	return armed_malloc(bytes);
}

void *icu_realloc(const void *, void *block, size_t bytes)
{
	return armed_realloc(block, bytes);
}

void icu_free(const void *, void *block)
{
	armed_free(block);
}

void icu_collate()
{
	UErrorCode status = U_ZERO_ERROR;
	Text rules = wide("&9 < a, A < b, B < c, C; ch, cH, Ch, CH < d, D, e, E");
	UCollator *c = ucol_openRules(rules.data(), (int32_t)rules.size(), UCOL_ON, UCOL_TERTIARY,
				      nullptr, &status);
	uint8_t key[256];
	Text s = wide("chacha");
	ucol_getSortKey(c, s.data(), (int32_t)s.size(), key, sizeof(key));
	ucol_close(c);
}

UBool on_find(const void *, int64_t)
{
	armed_call_back();
	return true;
}

void icu_regex()
{
	UErrorCode status = U_ZERO_ERROR;
	Text pattern = wide("((a|b|[c-f]x)+y{2,5})(?:z|(?<name>q+))?[[:Lu:]&&[^A]]");
	URegularExpression *r =
		uregex_open(pattern.data(), (int32_t)pattern.size(), 0, nullptr, &status);
	Text s = wide("abababyyyq and cxcxyyzB, ffff");
	uregex_setFindProgressCallback(r, on_find, nullptr, &status);
	uregex_setText(r, s.data(), (int32_t)s.size(), &status);
	while (U_SUCCESS(status) && uregex_findNext(r, &status))
		continue;
	uregex_close(r);
}

void icu_date()
{
	UErrorCode status = U_ZERO_ERROR;
	Text zone = wide("Europe/Lisbon"), pattern = wide("EEEE, d MMMM yyyy HH:mm:ss zzzz");
	UDateFormat *f =
		udat_open(UDAT_PATTERN, UDAT_PATTERN, "pt", zone.data(), (int32_t)zone.size(),
			  pattern.data(), (int32_t)pattern.size(), &status);
	UChar out[256];
	udat_format(f, 1.7e12, out, 256, nullptr, &status);
	udat_close(f);
}

void on_unknown(const void *context, UConverterToUnicodeArgs *args, const char *units,
		int32_t length, UConverterCallbackReason reason, UErrorCode *status)
{
	if (reason <= UCNV_IRREGULAR)
		armed_call_back();
	UCNV_TO_U_CALLBACK_SUBSTITUTE(context, args, units, length, reason, status);
}

void icu_convert()
{
	UErrorCode status = U_ZERO_ERROR;
	UConverter *c = ucnv_open("EUC-JP", &status);
	UChar out[256];
	const char bytes[] = "abc\xff\xfe\xa4\xa2 and \x8f\xff more";
	ucnv_setToUCallBack(c, on_unknown, nullptr, nullptr, nullptr, &status);
	ucnv_toUChars(c, out, 256, bytes, sizeof(bytes) - 1, &status);
	ucnv_close(c);
}

// ---- RocksDB ----

rocksdb_t *db;
rocksdb_readoptions_t *reading;
rocksdb_writeoptions_t *writing;

int compare_keys(void *, const char *a, size_t na, const char *b, size_t nb)
{
	armed_call_back();
	return std::string(a, na).compare(std::string(b, nb));
}

const char *name_of(void *)
{
	return "cgoheap.test";
}

void nothing(void *)
{
}

void rocks_open(const std::string &path, char **error)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_comparator(
		o, rocksdb_comparator_create(nullptr, nothing, compare_keys, name_of));
	reading = rocksdb_readoptions_create();
	writing = rocksdb_writeoptions_create();
	db = rocksdb_open(o, path.c_str(), error);
}

// The names of keys go round, so that memtables hold some.
void rocks_put()
{
	static int number;
	char *error = nullptr;
	for (int i = 0; i < 3 && !error; i++) {
		std::string key = "key " + std::to_string(number++ * 7919 % 1000);
		rocksdb_put(db, writing, key.data(), key.size(), "value", 5, &error);
	}
}

void rocks_get()
{
	size_t n;
	char *error = nullptr;
	free(rocksdb_get(db, reading, "key 7", 5, &n, &error));
}

void rocks_iterate()
{
	rocksdb_iterator_t *it = rocksdb_create_iterator(db, reading);
	rocksdb_iter_seek(it, "key 3", 5);
	for (int i = 0; i < 5 && rocksdb_iter_valid(it); i++)
		rocksdb_iter_next(it);
	rocksdb_iter_destroy(it);
}

void rocks_flush()
{
	char *error = nullptr;
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	rocks_put();
	rocksdb_flush(db, o, &error);
	rocksdb_flushoptions_destroy(o);
}

void rocks_compact()
{
	rocksdb_compact_range(db, nullptr, 0, nullptr, 0);
}

// ---- LLVM, by its C interface, which is the same in all releases ----

void *llvm;

template <typename F> F *llvm_function(const char *name)
{
	return (F *)dlsym(llvm, name);
}

const char *llvm_open()
{
	static const char *const names[] = {"libLLVM-14.so.1", "libLLVM-15.so.1", "libLLVM-16.so.1",
					    "libLLVM.so.19.1", "libLLVM.so.20.1"};
	for (const char *name : names)
		if ((llvm = dlopen(name, RTLD_LAZY)) != nullptr)
			return nullptr;
	return "no libLLVM is installed";
}

void llvm_parse()
{
	static const char text[] = "%s = type { i32, %s* }\n"
				   "@g = global [4 x i32] [i32 1, i32 2, i32 3, i32 4]\n"
				   "define i32 @f(i32 %a, i32 %b) {\n"
				   "  %c = icmp slt i32 %a, %b\n"
				   "  br i1 %c, label %x, label %y\n"
				   "x:\n  %d = add nsw i32 %a, 7\n  br label %y\n"
				   "y:\n  %p = phi i32 [ %d, %x ], [ %b, %0 ]\n  ret i32 %p\n}\n";
	void *context = llvm_function<void *()>("LLVMContextCreate")();
	void *buffer = llvm_function<void *(const char *, size_t, const char *)>(
		"LLVMCreateMemoryBufferWithMemoryRangeCopy")(text, sizeof(text) - 1, "text");
	void *module = nullptr;
	char *said = nullptr;

	if (llvm_function<int(void *, void *, void **, char **)>("LLVMParseIRInContext")(
		    context, buffer, &module, &said) == 0) {
		char *printed = llvm_function<char *(void *)>("LLVMPrintModuleToString")(module);
		llvm_function<int(void *, int, char **)>("LLVMVerifyModule")(module, 2, &said);
		llvm_function<void(char *)>("LLVMDisposeMessage")(printed);
		llvm_function<void(void *)>("LLVMDisposeModule")(module);
	}
	llvm_function<void(char *)>("LLVMDisposeMessage")(said);
	llvm_function<void(void *)>("LLVMContextDispose")(context);
}

void (*const calls[LIBRARIES_CALLS])() = {icu_collate,   icu_regex, icu_date,      icu_convert,
					  rocks_put,     rocks_get, rocks_iterate, rocks_flush,
					  rocks_compact, llvm_parse};

int run(int call, struct armed *which, size_t skip, size_t n)
{
	const struct armed before = *which;
	*which = {1, skip, n};
	calls[call]();
	int was_due = !which->is_armed;
	*which = before;
	return was_due;
}

} // namespace

const char *libraries_start(const char *directory)
{
	UErrorCode status = U_ZERO_ERROR;
	char *error = nullptr;

	u_setMemoryFunctions(nullptr, icu_malloc, icu_realloc, icu_free, &status);
	if (U_FAILURE(status))
		return u_errorName(status);
	rocks_open(std::string(directory) + "/db", &error);
	return error ? error : llvm_open();
}

int libraries_allocate(int call, size_t skip, size_t n)
{
	return run(call, &armed_allocation, skip, n);
}

int libraries_call_back(int call, size_t skip, size_t n)
{
	return run(call, &armed_callback, skip, n);
}

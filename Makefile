# cgoheap: see README.md.  `make help` lists what there is to make.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
GO      ?= go
BUILD   := build
OBJCOPY ?= objcopy

VERSION := $(shell sed -n 's/^const Version = "\(.*\)"/\1/p' cgo_bridge/version.go)
# For cgoheap version; empty where it is not known.
COMMIT := $(shell tools/revision commit)
# The time of all that is built: the same sources give the same bytes.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(shell tools/revision time)
endif
export SOURCE_DATE_EPOCH

# ---- the processor ----------------------------------------------------------

# ARCH=amd64 or arm64 makes build/ARCH: with CC if that is a compiler for it, else with Debian's
# cross compiler and the libraries of `tools/roots`, or those in SYSROOT. Without ARCH, build/ is
# for the processor that CC is for.
MACHINE_amd64 := x86_64
MACHINE_arm64 := aarch64
ARCHES  := amd64 arm64
# Where no compiler is installed yet, the one that make setup installs will be for this machine.
CC_MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null || echo "$$(uname -m)-linux-gnu")
CC_ARCH    := $(strip $(foreach arch,$(ARCHES),$(if $(filter \
	$(MACHINE_$(arch))-%,$(CC_MACHINE)),$(arch))))

PACKAGES := build
SYSROOT :=
ifneq ($(origin ARCH),command line)
ARCH := $(CC_ARCH)
else
BUILD := build/$(ARCH)
ifneq ($(ARCH),$(CC_ARCH))
PACKAGES := $(ARCH)
CROSS   := $(MACHINE_$(ARCH))-linux-gnu
SYSROOT := $(shell tools/roots make $(ARCH))
CC      := $(CROSS)-gcc --sysroot=$(SYSROOT)
AR      := $(CROSS)-ar
OBJCOPY := $(CROSS)-objcopy
ifeq ($(SYSROOT),)
$(error there are no libraries of $(ARCH): give SYSROOT=DIR)
endif
endif
endif
ifeq ($(filter $(ARCH),$(ARCHES)),)
$(error cgoheap is for $(ARCHES); $(CC) is for $(CC_MACHINE))
endif

# ---- the shim ---------------------------------------------------------------

# Rooms, in the order in which they may include each other: each those before it (tools/rooms).
ROOMS := base region config text proc go unwind record hook account profile recorder serve life
SHIM_SRC := $(foreach room,$(ROOMS),$(wildcard shim/$(room)/*.c))
SHIM_SRC := $(filter-out shim/base/faultinject.c,$(SHIM_SRC))
# Files for one processor are NOUN_ARCH.[ch]; see shim/base/arch.h.
SHIM_SRC := $(filter-out $(foreach arch,$(filter-out $(ARCH),$(ARCHES)),%_$(arch).c),$(SHIM_SRC))

# FAULTS=1: system calls that fail on command, for tests/programs/faults.  Never in build/ itself.
ifdef FAULTS
BUILD := $(BUILD)/faults
SHIM_SRC += shim/base/faultinject.c
FAULTS_CFLAGS := -DCGOHEAP_FAULTS
endif

# SANITIZE=address or thread: for the unit tests and the stress program. (TSan does not model
# fences; none is on the paths that it checks.)
ifeq ($(SANITIZE),address)
BUILD := $(BUILD)/sanitized
CFLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(SANITIZE),thread)
BUILD := $(BUILD)/tsan
CFLAGS := -O1 -g -fsanitize=thread -Wno-error=tsan
endif

SHIM_OBJ := $(SHIM_SRC:shim/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/profile.pb-c.o

# LLVM's libunwind, for tests: our unwinder is compared with it.
LLVM_LIBUNWIND := $(firstword $(wildcard \
	$(SYSROOT)/usr/lib/llvm-19/lib/libunwind.a $(SYSROOT)/usr/lib/llvm-16/lib/libunwind.a))
LLVM_INCLUDE   := $(LLVM_LIBUNWIND:%/lib/libunwind.a=%/include)

WARN    := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow \
	-Wno-missing-field-initializers # gcc 10 means those behind a macro too
CFLAGS  ?= -O2 -g
ARCH_CFLAGS_amd64  := -fcf-protection=return
ARCH_LDFLAGS_amd64 := -Wl,-z,shstk
# Else atomic operations are calls, of functions that ask libc what the processor has.
ARCH_CFLAGS_arm64  := -mno-outline-atomics
# As $(abspath), where the path of the tree has spaces.
absolute = $(if $(filter /%,$(1)),$(1),$(CURDIR)/$(1))
# The same bytes in whatever directory.
PREFIX_MAP := '-ffile-prefix-map=$(CURDIR)=.' $(SYSROOT:%=-ffile-prefix-map=%=)
SHIM_CFLAGS := -std=gnu11 $(WARN) $(CFLAGS) -D_GNU_SOURCE -DCGOHEAP_VERSION='"$(VERSION)"' \
	$(PREFIX_MAP) -fPIC -fvisibility=hidden -ftls-model=initial-exec \
	-fno-semantic-interposition \
	-fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
	-fasynchronous-unwind-tables -Ishim -I$(BUILD)/gen $(ARCH_CFLAGS_$(ARCH)) $(FAULTS_CFLAGS)

# Inlines the square root, which would set errno otherwise; and calls no fortified functions, which
# not every libc has.
SHIM_CFLAGS += -fno-math-errno -U_FORTIFY_SOURCE

SHIM_LIBS := -l:libprotobuf-c.a -l:libz.a
# If one of these gives up, the host continues (shim/base/noabort.c).
WRAP := -Wl,--wrap=abort,--wrap=__assert_fail
SHIM_LDFLAGS := -shared -Wl,--version-script=shim/hook/interpose.map -Wl,--exclude-libs,ALL \
	-Wl,--no-undefined -Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -Wl,-Bsymbolic \
	-nostdlib $(ARCH_LDFLAGS_$(ARCH)) $(WRAP)

.PHONY: all checked-walks demo test test-long test-order test-reach fuzz soak bench bench-quick
.PHONY: fmt lint
.PHONY: install uninstall clean help setup unit dist deb rpm

all: $(BUILD)/libcgoheap.so $(BUILD)/cgoheap $(BUILD)/proxy/.made

$(BUILD)/libcgoheap.so: $(SHIM_OBJ) shim/hook/interpose.map $(BUILD)/libc/libc.so.6
	$(CC) $(SHIM_LDFLAGS) -Wl,-Map,$@.map -o $@.tmp $(SHIM_OBJ) $(SHIM_LIBS) \
		$(BUILD)/libc/libc.so.6 -lgcc
	mv $@.tmp $@

# What the library may ask of libc, in the versions that all of them have: it is linked to this
# and not to the libc of the machine it is built on, which would ask for that one's versions.
$(BUILD)/libc/libc.so.6: shim/base/libc.map
	@mkdir -p $(@D)
	$(LIBC_MAP_$(ARCH)) $< >$@.map
	sed -n 's/^\t\([a-z_]*\);$$/\1/p' $< | \
		sed 's/.*/.globl &\n.type &,%object\n.size &,8\n&: .quad 0/' >$@.s
	echo '.section .note.GNU-stack,"",%progbits' >>$@.s
	$(CC) -shared -nostdlib -Wl,-soname,libc.so.6 -Wl,--version-script=$@.map -o $@ $@.s
# The version of what is older than glibc's first for the processor is that one's.
LIBC_MAP_amd64 := cat
LIBC_MAP_arm64 := sed -n -e '1i GLIBC_2.17 { global:' -e '/^\t[a-z_]*;$$/p' \
	-e '$$a local: *; };'

# Code that hooks reach uses no floating point: a host that has unmasked its exceptions would die of
# one.
HOOK_MODULES := base/clock base/dynsym base/forked base/libc base/loaded base/lock base/mem \
	region/recstack \
	go/goarena go/gomodules go/gosym go/gotables \
	unwind/capture unwind/cfi unwind/cfi_entry unwind/cfi_rules unwind/cfi_step \
	unwind/checkwalks \
	unwind/codetables unwind/descriptor unwind/dwarfbytes unwind/dwarfexpr \
	unwind/fde unwind/goframes_$(ARCH) unwind/golabels unwind/lastwalk unwind/pcinfo \
	unwind/quickwalk_$(ARCH) unwind/quickwalk_join_$(ARCH) unwind/row_$(ARCH) unwind/rows \
	unwind/saferead unwind/signalframe_$(ARCH) unwind/threadroots unwind/unwind_c \
	unwind/unwind_go \
	record/eventring record/fixed record/freer record/frees record/labelsets record/live \
	record/mappings \
	record/mappings_fragment record/mappings_lock record/mappings_read record/mappings_tree \
	record/parts record/peak \
	record/pins record/known record/sample record/sighandlers record/stack_key record/stacks \
	record/thread_starts record/unloads record/variance \
	hook/earlymaps hook/free_slow hook/interpose hook/maker hook/malloc_slow hook/map_slow \
	hook/mapcaller \
	hook/muslfamily hook/real \
	hook/threads
$(HOOK_MODULES:%=$(BUILD)/obj/%.o): SHIM_CFLAGS += -mgeneral-regs-only
# gcc turns the loop that is memset into a call of memset.
$(BUILD)/obj/base/mem.o: SHIM_CFLAGS += -fno-builtin -fno-strict-aliasing \
	$(if $(findstring clang,$(CC)),,-fno-tree-loop-distribute-patterns)

$(BUILD)/obj/%.o: shim/%.c Makefile cgo_bridge/version.go | $(BUILD)/gen/profile.pb-c.h
	@mkdir -p $(@D)
	$(CC) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/profile.pb-c.c $(BUILD)/gen/profile.pb-c.h &: proto/profile.proto
	@mkdir -p $(BUILD)/gen
	protoc-c --proto_path=proto --c_out=$(BUILD)/gen proto/profile.proto

$(BUILD)/obj/profile.pb-c.o: $(BUILD)/gen/profile.pb-c.c Makefile
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) $(PREFIX_MAP) -fPIC -fvisibility=hidden \
		-I$(BUILD)/gen -c -o $@ $<

-include $(SHIM_OBJ:.o=.d)

# The library and two unit tests in which each stack is walked both ways, and a difference ends the
# process: for tests.
CHECKED := capture checkwalks
CHECKED_OBJ := $(CHECKED:%=$(BUILD)/checked/%.o)

checked-walks: $(BUILD)/checked/libcgoheap.so $(BUILD)/checked/test_capture \
	$(BUILD)/checked/test_unwind

$(CHECKED_OBJ): $(BUILD)/checked/%.o: shim/unwind/%.c $(BUILD)/obj/unwind/%.o
	@mkdir -p $(@D)
	$(CC) $(SHIM_CFLAGS) -mgeneral-regs-only -DCGOHEAP_CHECK_WALKS -c -o $@ $<

$(BUILD)/checked/libcgoheap.so: $(CHECKED_OBJ) $(BUILD)/libcgoheap.so
	$(CC) $(SHIM_LDFLAGS) -o $@ $(CHECKED_OBJ) \
		$(filter-out $(CHECKED:%=$(BUILD)/obj/unwind/%.o),$(SHIM_OBJ)) $(SHIM_LIBS) \
		$(BUILD)/libc/libc.so.6 -lgcc

$(BUILD)/checked/test_%: tests/unit/test_%.c $(CHECKED_OBJ) $(BUILD)/libshim-unit.a
	$(CC) $(SHIM_CFLAGS) $(CMOCKA_CFLAGS) -o $@ $< $(CHECKED_OBJ) $(BUILD)/libshim-unit.a \
		$(SHIM_LIBS) \
		-lcmocka $(WRAP)

# ---- the command ------------------------------------------------------------

CLI_SRC := $(shell find cli cgo_bridge/leaktest/suppress -name '*.go' ! -name '*_test.go') \
	cgo_bridge/leaktest/suppress/defaults.txt $(wildcard cli/internal/report/assets/*) \
	cli/go.mod cli/go.sum

CLI_RELEASE := cgoheap.example/cli/internal/release
CLI_LDFLAGS := -s -w -X $(CLI_RELEASE).Version=$(VERSION) -X $(CLI_RELEASE).commit=$(COMMIT)

# Static, so that it can be copied beside the service into any container.
$(BUILD)/cgoheap: $(CLI_SRC) $(BUILD)/.revision
	@mkdir -p $(BUILD)
	cd cli && CGO_ENABLED=0 GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=false \
		-ldflags '$(CLI_LDFLAGS)' -o '$(call absolute,$@)' .

# Written again where what it says has changed: what depends on it says the same.
REVISION := $(VERSION) $(COMMIT) $(SOURCE_DATE_EPOCH)
ifneq ($(REVISION),$(shell cat $(BUILD)/.revision 2>/dev/null))
.PHONY: $(BUILD)/.revision
endif
$(BUILD)/.revision:
	@mkdir -p $(BUILD)
	@echo '$(REVISION)' >$@

# ---- the Go package, as `go get` takes it: GOPROXY=file:///usr/local/share/cgoheap/proxy ----

GO_MODULES := cgo_bridge cgo_bridge/prom

$(BUILD)/proxy/.made: $(shell find cgo_bridge -type f) $(wildcard packaging/goproxy/*) \
		$(BUILD)/.revision
	@rm -rf $(@D)
	cd packaging/goproxy && $(GO) run -buildvcs=false . $(VERSION) '$(call absolute,$(@D))' \
		$(GO_MODULES:%=../../%)
	@touch $@

# ---- unit tests: one program a module, the shim's objects without its hooks --------

UNIT_SRC  := $(wildcard $(addprefix tests/unit/,test_*.c count_*.c replay_*.c))
UNIT_BIN  := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
UNIT_OBJ  := $(filter-out $(BUILD)/obj/hook/interpose.o $(BUILD)/obj/life/init.o,$(SHIM_OBJ))
UNIT_WRAP  = $(WRAP)

# cmocka 2 has other names for what cmocka 1 has, and deprecates those.
CMOCKA_CFLAGS := -Wno-deprecated-declarations

unit: $(UNIT_BIN)

$(BUILD)/libshim-unit.a: $(UNIT_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libshim-unit.a
	@mkdir -p $(@D)
	$(CC) $(SHIM_CFLAGS) $(CMOCKA_CFLAGS) $(UNIT_CFLAGS) -o $@ $< $(BUILD)/libshim-unit.a \
		$(UNIT_LIBS) \
		$(SHIM_LIBS) -lm -lcmocka $(UNIT_WRAP)

# Its stacks are in a library.
$(BUILD)/unit/libstackcalls.so: tests/unit/stackcalls.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CFLAGS) -fPIC -shared -Wl,-soname,$(@F) -o $@ $<
$(BUILD)/unit/replay_trace: $(BUILD)/unit/libstackcalls.so
$(BUILD)/unit/replay_trace: UNIT_LIBS := $(BUILD)/unit/libstackcalls.so -Wl,-rpath,'$$ORIGIN'

# It finds functions in libraries with either kind of table.
$(BUILD)/unit/libfound_%.so: tests/unit/found.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CFLAGS) -fvisibility=hidden -fPIC -shared -Wl,--hash-style=$* \
		-Wl,-Ttext-segment=0xffffffffff700000 -o $@ $<
$(BUILD)/unit/test_dynsym: $(BUILD)/unit/libfound_gnu.so $(BUILD)/unit/libfound_sysv.so

# They compare with the unmodified libunwind.
LIBUNWIND_TESTS := $(addprefix $(BUILD)/unit/test_,cfi cfi_libraries)
$(LIBUNWIND_TESTS): UNIT_WRAP :=
$(LIBUNWIND_TESTS): UNIT_LIBS := $(LLVM_LIBUNWIND)
$(LIBUNWIND_TESTS): UNIT_CFLAGS := -isystem $(LLVM_INCLUDE)
# They move the clock on instead of sleeping (tests/unit/testclock.h).
CLOCK_TESTS := cohorts control handlers recorder symbol_cache
CLOCK_BIN := $(CLOCK_TESTS:%=$(BUILD)/unit/test_%) $(BUILD)/unit/count_marks
$(CLOCK_BIN): UNIT_WRAP := $(WRAP) -Wl,--wrap=clock_ns
# They contain Go symbols, so they must not contain what needs the shim's.
$(BUILD)/unit/test_mapcaller $(BUILD)/unit/test_gocalls: UNIT_WRAP :=
# It hides a function that older libcs lack.
$(BUILD)/unit/test_allocator: UNIT_WRAP := $(WRAP) -Wl,--wrap=dynsym_find_in_module
# It says who frees.
$(BUILD)/unit/test_debt: UNIT_WRAP := $(WRAP) -Wl,--wrap=frees_of,--wrap=frees_of_stack
# It hides _dl_find_object.
$(BUILD)/unit/test_loaded: UNIT_WRAP := $(WRAP) -Wl,--wrap=dynsym_libc
# Its look-up allocates, fails or forgets names.
$(BUILD)/unit/test_real: UNIT_WRAP := $(WRAP) -Wl,--wrap=dynsym_next

# ---- the stress program with the shim in it: its calls of malloc and the like renamed to the
# hooks, so that a sanitizer's runtime has the names for itself and stands behind the hooks as an
# allocator would ----

STRESS_OBJ := $(BUILD)/obj/hook/interpose.o $(BUILD)/obj/life/init.o $(BUILD)/libshim-unit.a

$(BUILD)/stress: tests/programs/stress/stress.c $(wildcard tests/programs/*/*.h) $(STRESS_OBJ) \
	shim/hook/interpose.map
	sed -n 's/^\t\([a-z0-9_]*\);$$/\1 hook_\1/p' shim/hook/interpose.map >$@.names
	$(OBJCOPY) --redefine-syms=$@.names $(BUILD)/obj/hook/interpose.o $@.hooks.o
	$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -fno-builtin -c -o $@.o $<
	$(OBJCOPY) --redefine-syms=$@.names $@.o
	$(CC) $(CFLAGS) -rdynamic -o $@ $@.o $@.hooks.o \
		$(filter-out $(BUILD)/obj/hook/interpose.o,$(STRESS_OBJ)) $(SHIM_LIBS) $(WRAP)

clean:
	rm -rf $(BUILD)

# ---- a missing package is named before the compiler stumbles over it ---------------

$(BUILD)/.packages: tools/setup
	@tools/setup check $(PACKAGES)
	@mkdir -p $(BUILD) && touch $@

$(SHIM_OBJ) $(BUILD)/gen/profile.pb-c.c $(BUILD)/cgoheap: | $(BUILD)/.packages

# ---- what people run ----------------------------------------------------------------

help:
	@echo 'make             build build/libcgoheap.so and build/cgoheap'
	@echo 'make ARCH=arm64  the same for arm64, in build/arm64'
	@printf '%s%s\n' \
		'make demo        install what building needs, then run the example service ' \
		'and show its C leaks (KEEP=1: leave it running)'
	@printf '%s%s\n' 'make test        install what testing needs, then run every test ' \
		'(CGOHEAP_TEST_ONLY=PATTERN: those suites)'
	@echo 'make test-long   the same and what takes too long for every run'
	@echo 'make test-order  the order of memory accesses, by a model checker (GENMC=PROGRAM)'
	@printf '%s%s\n' 'make test-reach  the library in roots of other Debian releases, and ' \
		'under musl (ROOTS=NAMES)'
	@printf '%s%s\n' 'make fuzz        search the parsers for bad input, 20 s each ' \
		'(FUZZ_SECONDS=N); the C ones need clang'
	@printf '%s%s\n' 'make soak        ten minutes of a service under load, with constant ' \
		'requests (SOAK_SECONDS=N)'
	@printf '%s%s\n' 'make bench       measure what the library costs, beside its peers, ' \
		'and write bench/RESULTS.md (25 min)'
	@printf '%s%s\n' 'make bench-quick the same in under three minutes, with less certainty; ' \
		'prints it'
	@echo 'make setup       install the Debian packages that building needs'
	@printf '%s%s\n' 'make ARCH=arm64  the library and the command for arm64 ' \
		'into build/arm64, on any machine'
	@echo 'make unit        build the unit tests into build/unit'
	@printf '%s%s\n' 'make checked-walks  build/checked/libcgoheap.so, ' \
		'in which each stack is walked both ways and a difference ends the process'
	@echo 'make fmt         format the sources'
	@printf '%s%s\n' \
		'make lint        check format, go vet, staticcheck, clang-tidy, exported ' \
		'symbols and shell scripts'
	@echo 'make install     into PREFIX (/usr/local), under DESTDIR if given'
	@printf '%s%s\n' 'make dist        build/dist/*.tar.gz for amd64 and arm64, ' \
		'the same bytes each time (ARCHS=amd64: that one)'
	@echo 'make deb         packages for Debian and Ubuntu, as dist'
	@echo 'make rpm         packages for Red Hat, Fedora, SUSE, as dist'
	@echo 'make uninstall   remove what install put there'
	@echo 'make clean       remove build/'

setup:
	@tools/setup $(PACKAGES)

demo:
	@KEEP='$(KEEP)' MAKE='$(MAKE)' tools/demo

test:
	@MAKE='$(MAKE)' tools/test

test-long:
	@TEST_LONG=1 MAKE='$(MAKE)' tools/test

test-order:
	@tests/order/run.sh

test-reach: all
	@tests/programs/roots/long.sh

fuzz:
	@MAKE='$(MAKE)' tools/fuzz

soak: all
	@tools/soak

bench: all
	@bench/run

bench-quick: all
	@bench/run -quick

lint: all
	@LINT=1 CGOHEAP_TEST_ONLY='^check' MAKE='$(MAKE)' tools/test

fmt:
	git ls-files -z -co --exclude-standard '*.c' '*.h' | xargs -0 clang-format -i
	git ls-files -z -co --exclude-standard '*.go' | xargs -0 gofmt -w

ARCHS ?= $(ARCHES)

dist deb rpm:
	@MAKE='$(MAKE)' packaging/build $@ $(ARCHS)

LIB_DIR := $(DESTDIR)$(PREFIX)/lib/cgoheap
BIN_DIR := $(DESTDIR)$(PREFIX)/bin
DOC_DIR := $(DESTDIR)$(PREFIX)/share/doc/cgoheap
MAN_DIR := $(DESTDIR)$(PREFIX)/share/man/man1
BASH_COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions/cgoheap
ZSH_COMPLETION  := $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_cgoheap
GO_DIR  := $(DESTDIR)$(PREFIX)/share/cgoheap
# The command that prints the manual pages; another where that is for another processor.
MANUAL  ?= $(BUILD)/cgoheap

# As in the tree, so that links between them hold.
DOC_FILES := README.md LICENSE CHANGELOG.md CONTRIBUTING.md
DOC_TREE  := $(wildcard docs/*.md docs/*.png docs/incident/*.png docs/fleet/* \
	docs/json-schema/*.json bench/RESULTS.md) proto/profile.proto examples/notes/PROFILE.md \
	packaging/Dockerfile packaging/kubernetes.yaml

install: all
	install -d "$(BIN_DIR)" "$(LIB_DIR)" "$(DOC_DIR)"
	install -m 755 $(BUILD)/cgoheap "$(BIN_DIR)/cgoheap"
	install -m 644 $(BUILD)/libcgoheap.so "$(LIB_DIR)/libcgoheap.so"
	tools/manual "$(MANUAL)" "$(MAN_DIR)" "$(BASH_COMPLETION)" "$(ZSH_COMPLETION)"
	install -m 644 $(DOC_FILES) "$(DOC_DIR)"
	for f in $(DOC_TREE); do install -D -m 644 $$f "$(DOC_DIR)/$$f" || exit 1; done
	find cgo_bridge -type f ! -name "*_test.go" | while read -r f; do \
		install -D -m 644 "$$f" "$(GO_DIR)/$$f" || exit 1; \
	done
	cd $(BUILD) && find proxy -type f ! -name '.*' | while read -r f; do \
		install -D -m 644 "$$f" "$(GO_DIR)/$$f" || exit 1; \
	done

# The library may be in use: what has it mapped keeps it.
uninstall:
	rm -f "$(BIN_DIR)/cgoheap" "$(LIB_DIR)/libcgoheap.so"
	rm -f "$(MAN_DIR)/cgoheap.1" "$(MAN_DIR)"/cgoheap-*.1
	rm -f "$(BASH_COMPLETION)" "$(ZSH_COMPLETION)"
	rm -rf "$(DOC_DIR)" "$(GO_DIR)"
	rmdir "$(LIB_DIR)" 2>/dev/null || true

# cgoheap: see README.md.  `make help` lists what there is to make.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
GO      ?= go
BUILD   := build

VERSION := 0.1.0

# ---- the shim ---------------------------------------------------------------

SHIM_SRC := \
	shim/capture.c \
	shim/cfi.c \
	shim/config.c \
	shim/control.c \
	shim/elfsym.c \
	shim/gosym.c \
	shim/http.c \
	shim/init.c \
	shim/interpose.c \
	shim/live.c \
	shim/lock.c \
	shim/modules.c \
	shim/profile.c \
	shim/real.c \
	shim/region.c \
	shim/sample.c \
	shim/server.c \
	shim/stacks.c \
	shim/status.c \
	shim/symbolize.c \
	shim/track.c \
	shim/unwind_c.c \
	shim/unwind_go.c
SHIM_OBJ := $(SHIM_SRC:shim/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/profile.pb-c.o

# LLVM's libunwind: its archive is position-independent (docs/rejected.md says why not the other one).
LLVM_LIBUNWIND := $(firstword $(wildcard /usr/lib/llvm-19/lib/libunwind.a /usr/lib/llvm-16/lib/libunwind.a))
LLVM_INCLUDE   := $(LLVM_LIBUNWIND:%/lib/libunwind.a=%/include)

WARN    := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow
CFLAGS  ?= -O2 -g
SHIM_CFLAGS := -std=gnu11 $(WARN) $(CFLAGS) -D_GNU_SOURCE -DCGOHEAP_VERSION='"$(VERSION)"' \
	-fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition \
	-fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
	-fasynchronous-unwind-tables -fcf-protection=none -Ishim -I$(BUILD)/gen -isystem $(LLVM_INCLUDE)

SHIM_LIBS := $(LLVM_LIBUNWIND) -l:libprotobuf-c.a -l:libz.a -lm
# libunwind calls abort and assert on tables it does not like; both come to us instead.
SHIM_LDFLAGS := -shared -Wl,--version-script=shim/interpose.map -Wl,--exclude-libs,ALL \
	-Wl,--no-undefined -Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -Wl,-Bsymbolic -static-libgcc \
	-Wl,--wrap=abort -Wl,--wrap=__assert_fail

.PHONY: all demo test bench fmt lint install uninstall clean help setup unit

all: $(BUILD)/libcgoheap.so $(BUILD)/cgoheap

$(BUILD)/libcgoheap.so: $(SHIM_OBJ) shim/interpose.map
	$(CC) $(SHIM_LDFLAGS) -o $@.tmp $(SHIM_OBJ) $(SHIM_LIBS)
	mv $@.tmp $@

$(BUILD)/obj/%.o: shim/%.c | $(BUILD)/gen/profile.pb-c.h
	@mkdir -p $(@D)
	$(CC) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/profile.pb-c.c $(BUILD)/gen/profile.pb-c.h &: proto/profile.proto
	@mkdir -p $(BUILD)/gen
	protoc-c --proto_path=proto --c_out=$(BUILD)/gen proto/profile.proto

$(BUILD)/obj/profile.pb-c.o: $(BUILD)/gen/profile.pb-c.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) -fPIC -fvisibility=hidden -I$(BUILD)/gen -c -o $@ $<

-include $(wildcard $(BUILD)/obj/*.d)

# ---- the command ------------------------------------------------------------

CLI_SRC := $(wildcard cli/*.go) cli/go.mod $(wildcard cli/go.sum)

# Static, so that it can be copied beside the service into any container.
$(BUILD)/cgoheap: $(CLI_SRC)
	@mkdir -p $(BUILD)
	cd cli && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(abspath $@) .

# ---- unit tests: one program a module, the shim's objects without its hooks --------

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT_BIN  := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
UNIT_OBJ  := $(filter-out $(BUILD)/obj/interpose.o $(BUILD)/obj/init.o,$(SHIM_OBJ))

unit: $(UNIT_BIN)

$(BUILD)/unit/%: tests/unit/%.c $(UNIT_OBJ)
	@mkdir -p $(@D)
	$(CC) $(SHIM_CFLAGS) -o $@ $< $(UNIT_OBJ) $(SHIM_LIBS) -lcmocka -Wl,--wrap=abort -Wl,--wrap=__assert_fail

clean:
	rm -rf $(BUILD)

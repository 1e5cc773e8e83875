# make -f Makefile -f tests/profile/testdata/taker.mk taker: the shim's modules without its hooks, as a library.

TAKER := tests/profile/testdata/taker

.PHONY: taker
taker: $(BUILD)/profile/libtaker.so

$(BUILD)/profile/libtaker.so: $(TAKER)/taker.c $(TAKER)/taker.h $(BUILD)/libshim-unit.a
	@mkdir -p $(@D)
	$(CC) $(SHIM_CFLAGS) -shared -o $@ $< $(BUILD)/libshim-unit.a $(SHIM_LIBS) $(WRAP) \
		-Wl,-Bsymbolic,--exclude-libs,ALL,--no-undefined

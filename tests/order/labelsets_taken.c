/*
 * labelsets.c: taking sets out of the table loses none that is pushed meanwhile.
 *
 * with shim/record/labelsets.c s/BUCKETS  *4096/BUCKETS 1/
 * with shim/record/labelsets.c s/^\tkey.hash = h;/\tkey.bytes = 0, key.hash = h;/
 * break shim/record/labelsets.c /^static void take_out/,/^}/s/expected = id/expected = *link/
 */
#define MODEL_TAKES_OUT
#include "labelsets.c"

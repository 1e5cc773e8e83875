/*
 * known.h: a stack that a thread knows from its last capture, and does not look up, is not freed
 * while it is used.
 *
 * with shim/record/known.c /^__thread/d
 * with shim/record/known.c /^void known_add/,/^}/d
 * with shim/region/recstack.h s/RECSTACK_COUNT 128/RECSTACK_COUNT 1/
 * with shim/region/recstack.c s/STORE(&recstack_own, \(.*\));/recstack_own = \1;/
 * with shim/region/recstack.c s/LOAD(&recstack_own)/recstack_own/
 * break shim/record/known.c /fetch_add(&known_current/d
 * break shim/record/pins.h s/LOAD_ACQ(&pins_graces)/LOAD(\&pins_graces)/
 * break shim/record/pins.c /&own->thread, 0/s/ACQ_REL/RELAXED/
 * break shim/record/pins.c /fetch_add(&counts.side., 1/s/ACQ_REL/RELAXED/
 */
#include "model.h"

#include "record/known.c"

#define MODEL_FINDS()     (known_stack(known_note(1, 1), known_generation()) != 0)
#define MODEL_TAKES_OUT() known_forget()

#include "pins.c"

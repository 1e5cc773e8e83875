#define PREFIX o0_
#include "shapes.h"

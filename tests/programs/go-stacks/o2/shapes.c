#define PREFIX o2_
#include "shapes.h"

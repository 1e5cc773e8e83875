/* C and C++ code that "allocates": it tells the taker where it is. */
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

int grab(size_t size, int unused); /* -> grab_deep */
int both_ways(size_t size);        /* -> both, called and inlined */
int pool_grab(size_t size);        /* -> ns::Pool::take<int> */
int marks(void);
int nameless(size_t size); /* in a function without a symbol */
int grow(size_t size, int count, int freed);

#ifdef __cplusplus
}
#endif

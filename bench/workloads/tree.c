/* N trees of 1,023 nodes, of which the last 16 stand. */
#include <stdlib.h>

#include "work.h"

#define LEVELS   10
#define STANDING 16

struct node {
	struct node *child[2];
	char payload[80];
};

static struct node *standing[STANDING];

__attribute__((noinline)) static struct node *build(int levels)
{
	if (levels == 0)
		return NULL;
	struct node *n = work_opaque(malloc(sizeof(*n)));
	n->child[0] = build(levels - 1);
	n->child[1] = build(levels - 1);
	return n;
}

__attribute__((noinline)) static void tear_down(struct node *n)
{
	if (!n)
		return;
	tear_down(n->child[0]);
	tear_down(n->child[1]);
	free(n);
}

int main(int argc, char **argv)
{
	long n = work_begin(argc, argv);
	for (long i = 0; i < n; i++) {
		tear_down(standing[i % STANDING]);
		standing[i % STANDING] = build(LEVELS);
	}
	work_end();
	return 0;
}

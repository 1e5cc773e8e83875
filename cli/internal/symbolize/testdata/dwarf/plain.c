/* C with what optimizers do to it: inlined calls, a part that is cold, a copy for one constant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inc/part.h"

struct node {
	struct node *next;
	char text[40];
};

static struct node *list;

static __attribute__((noinline)) struct node *push(const char *text, int copies)
{
	struct node *n = take(sizeof *n);
	for (int i = 0; i < copies; i++)
		strncpy(n->text, text, sizeof n->text - 1);
	n->next = list;
	list = n;
	return n;
}

__attribute__((noinline)) int rarely(int n)
{
	if (__builtin_expect(n > 1000, 0)) {
		fprintf(stderr, "%d\n", n);
		exit(3);
	}
	return n + rand();
}

__attribute__((noinline)) void both(int n)
{
	for (int i = 0; i < n; i++)
		free(take_twice((unsigned long)i));
}

__attribute__((noinline)) int nested(int n)
{
#ifdef __clang__
	return n;
#else
	__attribute__((noinline)) int inner(int k)
	{
		return k + n + rand();
	}
	return inner(1) + inner(2);
#endif
}

void other_name(int n) __attribute__((alias("both")));

int main(int argc, char **argv)
{
	push(argv[0], 2);
	push("x", 2);
	both(argc);
	other_name(argc);
	return rarely(argc) & nested(argc) & 1;
}

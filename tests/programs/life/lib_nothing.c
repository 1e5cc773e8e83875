/* See first_stack.c: a library that does nothing. */
int nothing_at_all;

/* Heapsort: no input can make it slower than O(n log n). */
#include "base/sort.h"

static void sift_down(struct sort_item *heap, size_t root, size_t count)
{
	struct sort_item item = heap[root];
	size_t child;

	while ((child = 2 * root + 1) < count) {
		if (child + 1 < count && heap[child + 1].key > heap[child].key)
			child++;
		if (heap[child].key <= item.key)
			break;
		heap[root] = heap[child];
		root = child;
	}
	heap[root] = item;
}

void sort_items(struct sort_item *items, size_t count)
{
	for (size_t root = count / 2; root-- > 0;)
		sift_down(items, root, count);
	for (size_t end = count; end-- > 1;) {
		struct sort_item largest = items[0];

		items[0] = items[end];
		items[end] = largest;
		sift_down(items, 0, end);
	}
}

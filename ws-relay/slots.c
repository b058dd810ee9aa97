#include "slots.h"

#include <stdlib.h>

/* Past every slot for an id of 0. */
static uint32_t
index_of(struct conn_id id)
{
	return (uint32_t)id.v - 1;
}

bool
slots_init(struct slots *s, unsigned max)
{
	*s = (struct slots){ .max = max };
	s->list = calloc(max, sizeof(void *));
	s->generations = calloc(max, sizeof(uint32_t));
	s->free_list = calloc(max, sizeof(uint32_t));
	if (s->list == NULL || s->generations == NULL || s->free_list == NULL)
		return false;
	while (s->free_count < max) {
		s->free_list[s->free_count] = max - 1 - s->free_count;
		s->free_count++;
	}
	return true;
}

void
slots_fini(struct slots *s)
{
	free(s->list);
	free(s->generations);
	free(s->free_list);
}

struct conn_id
slots_put(struct slots *s, void *what)
{
	uint32_t i;

	if (s->free_count == 0)
		return (struct conn_id){ 0 };
	i = s->free_list[--s->free_count];
	s->list[i] = what;
	return (struct conn_id){ (uint64_t)++s->generations[i] << 32 | (i + 1) };
}

void *
slots_find(const struct slots *s, struct conn_id id)
{
	uint32_t i = index_of(id);

	return i < s->max && s->generations[i] == id.v >> 32 ? s->list[i] : NULL;
}

void
slots_clear(struct slots *s, struct conn_id id)
{
	uint32_t i = index_of(id);

	if (slots_find(s, id) == NULL)
		return;
	s->list[i] = NULL;
	s->free_list[s->free_count++] = i;
}

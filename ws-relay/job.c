#include "job.h"

#include <stdlib.h>

struct job *
job_new(enum job_kind kind)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j != NULL)
		j->kind = kind;
	return j;
}

void
job_list_init(struct job_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

void
job_list_add(struct job_list *l, struct job *j)
{
	j->next = NULL;
	*l->last = j;
	l->last = &j->next;
}

void
job_list_move(struct job_list *to, struct job_list *from)
{
	if (from->first == NULL)
		return;
	*to->last = from->first;
	to->last = from->last;
	job_list_init(from);
}

void
job_list_free(struct job_list *l)
{
	for (struct job *j = l->first, *next; j != NULL; j = next) {
		next = j->next;
		free(j);
	}
	job_list_init(l);
}

/* Inside the metrics: the families. */
#pragma once

#include "metrics/metrics.h"

enum {
	LABELS_MAX = 2,
	METRIC_ROW = 192, /* numbers that a family may have in all */
};

struct label {
	const char *name; /* NULL: none */
	const char *const *values;
	unsigned count;
};

/* The upper ends of a histogram's buckets, ascending, in the family's own unit; one past them is
 * for all that is more. */
struct bounds {
	const int64_t *at;
	unsigned count;
	int64_t
	    unit; /* how many of its own make one of what is shown: 1000000 for us, shown in s */
};

struct family {
	const char *name; /* NULL: not shown */
	const char *type;
	const char *help;
	struct label labels[LABELS_MAX];
	const struct bounds *bounds; /* of a histogram */
};

extern const struct family metric_families[METRIC__COUNT];

/* How many series F has, and how many numbers each of them is: a histogram's buckets and its sum.
 */
unsigned family_series(const struct family *f);
unsigned family_width(const struct family *f);

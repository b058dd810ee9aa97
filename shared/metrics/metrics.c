#include "metrics/metrics.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics/metrics_table.h"

/* A row for each family, so that what two
 * programs count is never in one line of a cache; ahead of them one whose first number says which
 * metrics these are. */
enum { SLOTS = (METRIC__COUNT + 1) * METRIC_ROW, TRIES_MAX = 8 };

static _Atomic int64_t private_page[SLOTS];
static _Atomic int64_t *page = private_page;

static uint64_t
hash(uint64_t so_far, const char *text)
{
	do {
		so_far = (so_far ^ (unsigned char)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
	} while (*text++ != '\0');
	return so_far;
}

/* Another number where a slot would mean something else. */
static int64_t
layout(void)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + METRIC_ROW;

	for (unsigned m = 0; m < METRIC__COUNT; m++) {
		const struct family *f = &metric_families[m];

		h = hash(h, f->name == NULL ? "" : f->name);
		for (unsigned l = 0; l < LABELS_MAX && f->labels[l].name != NULL; l++) {
			for (unsigned i = 0; i < f->labels[l].count; i++)
				h = hash(h, f->labels[l].values[i]);
		}
		for (unsigned i = 0; f->bounds != NULL && i < f->bounds->count; i++)
			h = (h ^ (uint64_t)f->bounds->at[i]) * UINT64_C(0x100000001b3);
	}
	return (int64_t)(h >> 1);
}

/* Is what ST is of still what stands at PATH? */
static bool
stands_at(const struct stat *st, const char *path)
{
	struct stat there;

	return stat(path, &there) == 0 && there.st_ino == st->st_ino && there.st_dev == st->st_dev;
}

/* The file at FD, under its lock, as memory. NULL: it cannot be. *OTHER: it holds other metrics. */
static _Atomic int64_t *
map(int fd, const struct stat *st, bool *other)
{
	int64_t its = 0;
	void *at;

	*other = st->st_size != 0 && (st->st_size != sizeof(private_page) ||
					 pread(fd, &its, sizeof(its), 0) != sizeof(its) ||
					 (its != 0 && its != layout()));
	/* All of it now: to write to memory for which the disk has no room is death. */
	if (*other || posix_fallocate(fd, 0, sizeof(private_page)) != 0)
		return NULL;
	its = layout();
	if (pwrite(fd, &its, sizeof(its), 0) != sizeof(its))
		return NULL;
	at = mmap(NULL, sizeof(private_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

enum err
metrics_open(const char *path)
{
	_Atomic int64_t *at = NULL;
	bool again = true;

	for (int i = 0; again && i < TRIES_MAX; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		struct stat st;

		if (fd < 0)
			return ERR_SYSTEM;
		again = false;
		if (flock(fd, LOCK_EX) == 0 && fstat(fd, &st) == 0) {
			if (!stands_at(&st, path))
				again = true; /* somebody else has just put it aside */
			else if ((at = map(fd, &st, &again)) == NULL && again)
				again = unlink(path) == 0;
		}
		(void)flock(fd, LOCK_UN); /* what is mapped would keep it */
		close(fd);
	}
	if (at == NULL)
		return ERR_SYSTEM;
	page = at;
	return ERR_OK;
}

static _Atomic int64_t *
slot(enum metric m, unsigned series)
{
	return &page[(m + 1) * METRIC_ROW + series * family_width(&metric_families[m])];
}

/* A histogram's bucket for VALUE. */
static unsigned
bucket(enum metric m, int64_t value)
{
	const struct bounds *b = metric_families[m].bounds;
	unsigned i = 0;

	while (i < b->count && value > b->at[i])
		i++;
	return i;
}

static void
add_own(_Atomic int64_t *s, int64_t n)
{
	atomic_store_explicit(
	    s, atomic_load_explicit(s, memory_order_relaxed) + n, memory_order_relaxed);
}

void
metric_add(enum metric m, unsigned series, int64_t n)
{
	atomic_fetch_add_explicit(slot(m, series), n, memory_order_relaxed);
}

void
metric_add_own(enum metric m, unsigned series, int64_t n)
{
	add_own(slot(m, series), n);
}

void
metric_set(enum metric m, unsigned series, int64_t value)
{
	atomic_store_explicit(slot(m, series), value, memory_order_relaxed);
}

int64_t
metric_get(enum metric m, unsigned series)
{
	return atomic_load_explicit(slot(m, series), memory_order_relaxed);
}

void
metric_observe(enum metric m, unsigned series, int64_t value)
{
	_Atomic int64_t *s = slot(m, series);

	atomic_fetch_add_explicit(s + bucket(m, value), 1, memory_order_relaxed);
	atomic_fetch_add_explicit(
	    s + metric_families[m].bounds->count + 1, value, memory_order_relaxed);
}

void
metric_observe_own(enum metric m, unsigned series, int64_t value)
{
	_Atomic int64_t *s = slot(m, series);

	add_own(s + bucket(m, value), 1);
	add_own(s + metric_families[m].bounds->count + 1, value);
}

static unsigned
value_of(const struct label *l, const char *value)
{
	unsigned i = 0;

	while (i < l->count - 1 && strcmp(l->values[i], value) != 0)
		i++;
	return i;
}

unsigned
metric_series(enum metric m, const char *first, const char *second)
{
	const struct label *l = metric_families[m].labels;
	unsigned i = value_of(&l[0], first);

	return second == NULL ? i : i * l[1].count + value_of(&l[1], second);
}

unsigned
metric_series_of(enum metric m, const char *first, int last)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", last);
	return first == NULL ? metric_series(m, text, NULL) : metric_series(m, first, text);
}

/* N of a unit of which ONE make one, without zeros at the end. */
static void
write_number(struct buf *out, int64_t n, int64_t one)
{
	char text[48];
	size_t len;

	if (one == 1) {
		buf_addf(out, "%lld", (long long)n);
		return;
	}
	snprintf(text, sizeof(text), "%lld.%06lld", (long long)(n / one), (long long)(n % one));
	len = strlen(text);
	while (text[len - 1] == '0')
		len--;
	if (text[len - 1] == '.')
		len--;
	buf_add(out, text, len);
}

/* {label="value",...}, with le="LE" where LE is not NULL, or nothing. */
static void
write_labels(struct buf *out, const struct family *f, unsigned series, const char *le)
{
	const char *before = "{";
	unsigned rest = family_series(f);

	for (unsigned i = 0; i < LABELS_MAX && f->labels[i].name != NULL; i++) {
		const struct label *l = &f->labels[i];

		rest /= l->count;
		buf_addf(out, "%s%s=\"%s\"", before, l->name, l->values[series / rest % l->count]);
		before = ",";
	}
	if (le != NULL)
		buf_addf(out, "%sle=\"%s\"", before, le);
	if (before[0] == ',' || le != NULL)
		buf_adds(out, "}");
}

static void
write_histogram(struct buf *out, const struct family *f, enum metric m, unsigned series)
{
	const struct bounds *b = f->bounds;
	const _Atomic int64_t *s = slot(m, series);
	long long count = 0;
	char room[32];
	struct buf le;

	for (unsigned i = 0; i <= b->count; i++) {
		count += atomic_load_explicit(s + i, memory_order_relaxed);
		buf_over(&le, room, sizeof(room));
		if (i < b->count)
			write_number(&le, b->at[i], b->unit);
		else
			buf_adds(&le, "+Inf");
		buf_addf(out, "%s_bucket", f->name);
		write_labels(out, f, series, le.data);
		buf_addf(out, " %lld\n", count);
	}
	buf_addf(out, "%s_sum", f->name);
	write_labels(out, f, series, NULL);
	buf_adds(out, " ");
	write_number(out, atomic_load_explicit(s + b->count + 1, memory_order_relaxed), b->unit);
	buf_addf(out, "\n%s_count", f->name);
	write_labels(out, f, series, NULL);
	buf_addf(out, " %lld\n", count);
}

void
metrics_write(struct buf *out)
{
	buf_adds(out, "# HELP telemed_build_info The version of fcgi-api\n"
		      "# TYPE telemed_build_info gauge\n"
		      "telemed_build_info{version=\"" TELEMED_VERSION "\"} 1\n");
	for (unsigned m = 0; m < METRIC__COUNT; m++) {
		const struct family *f = &metric_families[m];

		if (f->name == NULL)
			continue;
		buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
		for (unsigned i = 0; i < family_series(f); i++) {
			if (f->bounds != NULL) {
				write_histogram(out, f, (enum metric)m, i);
				continue;
			}
			buf_adds(out, f->name);
			write_labels(out, f, i, NULL);
			buf_addf(out, " %lld\n", (long long)metric_get((enum metric)m, i));
		}
	}
}

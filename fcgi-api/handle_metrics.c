/* /metrics: what the programs have counted, and what is looked at when somebody asks. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/proc.h"
#include "handlers.h"
#include "health.h"
#include "metrics/metrics.h"

/* That the relay drains is a metric of its own, so that nobody is woken by what was meant. */
static void
look_at_checks(struct service *s)
{
	for (unsigned c = 0; c < CHECK__COUNT; c++) {
		const char *word = health_check(s, (enum check)c);

		metric_set(METRIC_CHECKS, c, health_is_ok(word) || health_is_meant(word));
	}
}

static void
look_at_file(enum metric m, const char *path)
{
	struct stat st;

	metric_set(m, 0, stat(path, &st) == 0 ? st.st_size : 0);
}

/* While the database cannot be read, the lag is as it was. */
static void
look_at_store(struct service *s)
{
	char wal[CONFIG_TEXT_SIZE + sizeof("-wal")];
	int64_t left = health_disk_free(s);
	int64_t rev;

	snprintf(wal, sizeof(wal), "%s-wal", s->paths.database);
	look_at_file(METRIC_DATABASE_BYTES, s->paths.database);
	look_at_file(METRIC_WAL_BYTES, wal);
	metric_set(METRIC_DISK_FREE, 0, left < 0 ? 0 : left);
	if (service_store(s) == ERR_OK && store_revision(s->store, &rev) == ERR_OK) {
		int64_t lag = rev - metric_get(METRIC_FEED_REVISION, 0);

		metric_set(METRIC_REVISION_LAG, 0, lag < 0 ? 0 : lag);
	}
}

static void
look_at_process(const struct service *s)
{
	struct rlimit limit;

	metric_set(METRIC_AUTH_WAITING, 0, service_auth_waits(s));
	metric_set(METRIC_DESCRIPTORS, METRIC_OF_API, proc_descriptors());
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		metric_set(METRIC_DESCRIPTORS_MAX, METRIC_OF_API, (int64_t)limit.rlim_cur);
}

enum err
handle_metrics(struct request *q)
{
	look_at_checks(q->service);
	look_at_store(q->service);
	look_at_process(q->service);
	q->reply.status = 200;
	q->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(&q->reply.body);
	return ERR_OK;
}

/* /proc: processor time of every thread in nanoseconds (schedstat), resident memory, and how busy
 * the machine was with anything else. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

static struct {
	const char *name;
	int pids[PIDS_MAX];
	unsigned count;
} groups[GROUPS_MAX];
static unsigned group_count;

void
meter_group(char *spec)
{
	char *list = strchr(spec, '=');
	unsigned n = 0;

	if (list == NULL || group_count == GROUPS_MAX)
		die("--server is NAME=PID,PID...");
	*list++ = '\0';
	for (char *save, *pid = strtok_r(list, ",", &save); pid != NULL && n < PIDS_MAX;
	     pid = strtok_r(NULL, ",", &save))
		groups[group_count].pids[n++] = (int)strtol(pid, NULL, 10);
	groups[group_count].name = spec;
	groups[group_count++].count = n;
}

static int64_t
first_number(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[128];
	int64_t n = 0;

	if (f == NULL)
		return 0; /* a thread that has just ended */
	if (fgets(line, sizeof(line), f) != NULL)
		n = strtoll(line, NULL, 10);
	fclose(f);
	return n;
}

static int64_t
process_cpu_ns(int pid)
{
	char path[300];
	struct dirent *e;
	int64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	if ((d = opendir(path)) == NULL)
		die("the server's process %d is gone", pid);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, e->d_name);
		sum += first_number(path);
	}
	closedir(d);
	return sum;
}

static int64_t
process_rss(int pid)
{
	char path[64];
	char line[128];
	int64_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if ((f = fopen(path, "r")) == NULL)
		die("the server's process %d is gone", pid);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtoll(line + 6, NULL, 10);
	}
	fclose(f);
	return kib * 1024;
}

/* user nice system idle iowait irq softirq steal, in clock ticks */
static int64_t
machine_busy_ns(void)
{
	FILE *f = fopen("/proc/stat", "r");
	char line[256];
	int64_t sum = 0;
	char *at = line;

	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		die("no /proc/stat");
	fclose(f);
	at += strcspn(at, " ");
	for (int i = 0; i < 8; i++) {
		int64_t ticks = strtoll(at, &at, 10);

		if (i != 3 && i != 4)
			sum += ticks;
	}
	return sum * (1000000000 / sysconf(_SC_CLK_TCK));
}

void
meter_read(struct usage *u)
{
	struct timespec own;

	memset(u, 0, sizeof(*u));
	for (unsigned g = 0; g < group_count; g++) {
		for (unsigned i = 0; i < groups[g].count; i++) {
			u->cpu_ns[g] += process_cpu_ns(groups[g].pids[i]);
			u->rss_bytes[g] += process_rss(groups[g].pids[i]);
		}
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	u->own_ns = (int64_t)own.tv_sec * 1000000000 + own.tv_nsec;
	u->busy_ns = machine_busy_ns();
	u->at_ns = now_ns();
}

int64_t
meter_cpu_ns(const struct usage *from, const struct usage *to)
{
	int64_t sum = 0;

	for (unsigned g = 0; g < group_count; g++)
		sum += to->cpu_ns[g] - from->cpu_ns[g];
	return sum;
}

void
report_open(const char *scenario)
{
	printf("{\"scenario\":\"%s\"", scenario);
}

void
report_text(const char *key, const char *value)
{
	printf(",\"%s\":\"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			putchar('\\');
		putchar((unsigned char)*value < ' ' ? ' ' : *value);
	}
	putchar('"');
}

void
report_count(const char *key, uint64_t value)
{
	printf(",\"%s\":%llu", key, (unsigned long long)value);
}

void
report_number(const char *key, double value)
{
	printf(",\"%s\":%.3f", key, value);
}

void
report_usage(const struct usage *from, const struct usage *to, uint64_t units)
{
	double seconds = (double)(to->at_ns - from->at_ns) / 1e9;
	int64_t cpu_ns = meter_cpu_ns(from, to);
	int64_t own_ns = to->own_ns - from->own_ns;

	report_number("seconds", seconds);
	if (units > 0)
		report_number("per_s", (double)units / seconds);
	report_number("cpu_s", (double)cpu_ns / 1e9);
	if (units > 0)
		report_number("cpu_us", (double)cpu_ns / 1e3 / (double)units);
	for (unsigned g = 0; g < group_count; g++) {
		char key[80];

		snprintf(key, sizeof(key), "cpu_s_%.60s", groups[g].name);
		report_number(key, (double)(to->cpu_ns[g] - from->cpu_ns[g]) / 1e9);
	}
	report_number("own_cpu_s", (double)own_ns / 1e9);
	report_number(
	    "foreign_cpu_s", (double)(to->busy_ns - from->busy_ns - cpu_ns - own_ns) / 1e9);
}

void
report_memory(const struct usage *from, const struct usage *at_first, const struct usage *idle,
    unsigned connections)
{
	int64_t first = 0;
	int64_t sum = 0;

	for (unsigned g = 0; g < group_count; g++) {
		int64_t grown = idle->rss_bytes[g] - from->rss_bytes[g];
		char key[80];

		sum += grown;
		first += at_first->rss_bytes[g] - from->rss_bytes[g];
		snprintf(key, sizeof(key), "rss_%.60s", groups[g].name);
		report_count(key, (uint64_t)idle->rss_bytes[g]);
		snprintf(key, sizeof(key), "memory_%.60s", groups[g].name);
		report_number(key, (double)grown / connections);
	}
	report_number("memory", (double)sum / connections);
	report_number("memory_at_first", (double)first / connections);
}

void
report_close(void)
{
	puts("}");
	fflush(stdout);
}

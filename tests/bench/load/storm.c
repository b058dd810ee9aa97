/* A storm of handshakes. With --idle, so many are connected before, one of each user: then the list
 * of who is there does not change, and the handshakes are all that is measured. */
#include "load.h"

static void
on_anything(void *context, struct client *c, const char *text, size_t len)
{
	(void)context;
	(void)c;
	(void)text;
	(void)len;
}

static bool
seat_and_connect_first(struct crowd *w, struct options *o)
{
	unsigned total = o->idle + o->connections;

	crowd_init(w, o, total, NULL, on_anything);
	w->ignore_below = UINT64_MAX;
	for (unsigned i = 0; i < total; i++)
		crowd_seat(w, i, &o->accounts[i % o->account_count]);
	if (!crowd_connect(w, o->idle))
		return false;
	crowd_settle(w, 0.5);
	w->bytes_in = 0;
	w->opening = (struct histogram){ .count = 0 };
	return true;
}

static unsigned
ended(const struct crowd *w)
{
	return w->refused + w->lost;
}

bool
run_storm(struct options *o)
{
	struct usage from;
	struct usage open;
	struct usage heard;
	struct crowd w;
	unsigned total = o->idle + o->connections;
	int64_t end;
	bool ok;

	accounts_read(o, 1);
	if (!seat_and_connect_first(&w, o))
		return false;
	meter_read(&from);
	end = now_ns() + (int64_t)(o->timeout_s * 1e9);
	while (w.open + ended(&w) < total && now_ns() < end)
		crowd_poll(&w, total, 100);
	meter_read(&open);
	while (w.heard + ended(&w) < total && now_ns() < end)
		crowd_poll(&w, 0, 100);
	meter_read(&heard);
	ok = w.open == total && w.heard == total && ended(&w) == 0;
	report_open("storm");
	report_count("connections", o->connections);
	report_count("open", w.open);
	report_count("heard", w.heard);
	report_count("refused", w.refused);
	report_count("lost", w.lost);
	report_usage(&from, &open, o->connections);
	report_number("opening_p50_ms", histogram_us(&w.opening, 0.5) / 1000);
	report_number("opening_max_ms", histogram_us(&w.opening, 0.9999) / 1000);
	report_number("heard_s", (double)(heard.at_ns - from.at_ns) / 1e9);
	report_count("bytes", w.bytes_in);
	if (w.why[0] != '\0')
		report_text("why", w.why);
	report_close();
	crowd_fini(&w);
	return ok;
}

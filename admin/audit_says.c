/* What was found of an audit trail. */
#include <stdio.h>

#include "admin.h"
#include "audit/audit_verify.h"

static enum err
print_report_json(const struct audit_report *r, const char *sentence)
{
	char mac[AUDIT_MAC_HEX + 1];
	struct answer answer;
	struct json_writer *w = &answer.w;

	audit_hex(r->last.mac, mac);
	answer_begin(&answer);
	jw_bool(w, "whole", r->trouble == AUDIT_WHOLE);
	jw_string(w, "found", audit_trouble_name(r->trouble));
	if (r->trouble != AUDIT_WHOLE) {
		jw_int(w, "line", r->line);
		jw_int(w, "to", r->to);
	}
	if (r->behind != 0)
		jw_int(w, "after", r->behind);
	jw_string(w, "says", sentence);
	jw_int(w, "lines", r->lines);
	jw_int(w, "past_head", r->past_head);
	jw_object(w, "last");
	jw_int(w, "line", r->last.seq);
	jw_string(w, "mac", mac);
	jw_object_end(w);
	jw_object_end(w);
	return print_buf(&answer.text);
}

enum err
print_report(const struct audit_report *r, bool json)
{
	char sentence[AUDIT_SENTENCE_SIZE];
	char mac[AUDIT_MAC_HEX + 1];

	audit_sentence(r, sentence);
	if (json)
		return print_report_json(r, sentence);
	audit_hex(r->last.mac, mac);
	puts(sentence);
	if (r->behind != 0)
		printf(
		    "What is behind it: verify --after %lld, which takes that line as it stands.\n",
		    (long long)r->behind);
	printf("%lld line%s in order; the last is %lld:%s\n", (long long)r->lines,
	    r->lines == 1 ? "" : "s", (long long)r->last.seq, mac);
	return ERR_OK;
}

enum admin_exit
exit_of_report(const struct audit_report *r)
{
	if (r->trouble == AUDIT_ANCHOR_ELSEWHERE)
		return ADMIN_REFUSED;
	return r->trouble == AUDIT_WHOLE ? ADMIN_OK : ADMIN_NO;
}

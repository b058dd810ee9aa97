/* One JSON object a line on standard error. A line holds ids, sizes, codes and durations: never
 * what a person wrote, a name, an address of mail, a token or an SDP. */
#pragma once

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
	const char *key;
	const char *text; /* NULL: the value is NUMBER */
	int64_t number;
};

#define F_INT(k, v)                                                                                \
	{                                                                                          \
		.key = (k), .number = (v)                                                          \
	}
#define F_STR(k, v)                                                                                \
	{                                                                                          \
		.key = (k), .text = (v)                                                            \
	}

/* The name of the program in each line, and the least level that is written. PROGRAM must outlive
 * the process. */
void log_open(const char *program, enum log_level least);

/* The least level, from now on. */
void log_set_level(enum log_level least);

/* Writes EVENT with its FIELDS in one write(2) of at most 1,024 bytes: past that, fields are left
 * out. Text is escaped (RFC 8259) and cut at 200 bytes. Does nothing below the level set; failure
 * to write is ignored. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, unsigned n);

#define LOG(level, event, ...)                                                                     \
	log_write((level), (event), (const struct log_field[]){ __VA_ARGS__ },                     \
	    sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))
#define LOG0(level, event) log_write((level), (event), NULL, 0)

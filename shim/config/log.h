/*
 * What the shim says on stderr: one line, where something asked for cannot be had.  Allocates
 * nothing; any thread.
 */
#ifndef CGOHEAP_LOG_H
#define CGOHEAP_LOG_H

/*
 * text in double quotes for a message, into out and returned: what is not
 * printable ASCII as \xNN, so that no value can write to somebody's terminal; a
 * long one is cut and ends in "...".
 */
#define LOG_QUOTE_BYTES 200
const char *log_quote(char out[LOG_QUOTE_BYTES], const char *text);

/*
 * One line on stderr, "cgoheap: " before and a newline after; cut at 512 bytes.
 * Says nothing where stderr would block or is a broken pipe.  errno untouched.
 */
void log_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What EACCES and its like mean, in words; "error N", into number, for others. */
#define LOG_ERROR_BYTES 32
const char *log_error_text(long error, char number[LOG_ERROR_BYTES]);

#endif

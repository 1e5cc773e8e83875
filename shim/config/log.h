/*
 * What the shim prints on stderr: one line for each requested feature that is unavailable.
 * Does not allocate; any thread.
 */
#ifndef CGOHEAP_LOG_H
#define CGOHEAP_LOG_H

/*
 * Writes text into out in double quotes and returns out.  Bytes that are not printable
 * ASCII become \xNN, so that no value can control a terminal; a long text is cut and ends
 * in "...".
 */
#define LOG_QUOTE_BYTES 200
const char *log_quote(char out[LOG_QUOTE_BYTES], const char *text);

/*
 * Prints one line on stderr, "cgoheap: " before and a newline after, cut at 512 bytes.
 * Prints nothing if stderr would block or is a broken pipe.  errno untouched.
 */
void log_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Describes EACCES and similar errors in words; others as "error N", written to number. */
#define LOG_ERROR_BYTES 32
const char *log_error_text(long error, char number[LOG_ERROR_BYTES]);

#endif

/* view=peak of the profile: what was in use when most was (record/peak.h). */
#ifndef CGOHEAP_VIEW_PEAK_H
#define CGOHEAP_VIEW_PEAK_H

#include "text/http.h"
#include "serve/answer.h"

/* Reads of= and reset=. -1: refused. */
int view_peak_params(struct answer *answer, const struct http_request *request,
		     enum profile_view view);

/* Writes the profile into the body, and then begins again if that is asked. 0, or -1 without
 * room. The server's thread. */
int view_peak_build(struct answer *answer, struct scratch *work);

#endif

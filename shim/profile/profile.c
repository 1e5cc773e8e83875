/* Which writer writes the profile: see profile.h. */
#include "profile/profile.h"
#include "profile/profile_job.h"

int profile_write(struct scratch *scratch, const struct snapshot *snapshot,
		  const struct profile_options *options, struct sink *sink)
{
	if (options->format == PROFILE_TEXT)
		return profile_write_text(scratch, snapshot, options, sink);
	return profile_write_proto(scratch, snapshot, options, sink);
}

/* An account as JSON: /v1/account, and before and after of /v1/trim. */
#ifndef CGOHEAP_ACCOUNT_JSON_H
#define CGOHEAP_ACCOUNT_JSON_H

#include "text/json.h"
#include "account/account.h"

/* key NULL: the outermost object.  Names the stacks of the largest C mappings, in scratch. */
void account_json_write(struct json *j, const char *key, struct scratch *scratch,
			const struct account *account, const struct account_parts *parts);

#endif

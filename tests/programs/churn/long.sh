#!/usr/bin/env bash
# A day of reloads at one each 1.5 seconds, as fast as they go.
cd "$(dirname "$0")/../../.." || exit 1
CHURN_RELOADS=57600 exec tests/programs/churn/run.sh reload

#!/usr/bin/env bash
# As many reloads as a day has at one per 1.5 seconds, as fast as possible.
cd "$(dirname "$0")/../../.." || exit 1
CHURN_RELOADS=57600 exec tests/programs/churn/run.sh reload

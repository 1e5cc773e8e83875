#!/usr/bin/env bash
# run.sh with other seeds.
set -u
for seed in $(seq 11 70); do
	ROWS_SEED=$seed "$(dirname "$0")/run.sh" one_thread threads | sed "s/\$/ (seed $seed)/"
done

#!/usr/bin/env bash
# Who frees, with the other Go releases.
set -u
cd "$(dirname "$0")" || exit 1
./run.sh 1.21.13 1.22.12 1.23.12 1.25.14 1.27.4

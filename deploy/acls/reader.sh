#!/bin/sh
# A system that acts on decisions and reads the other outputs. For grant.sh's variables see there; besides them
#
#   GROUP     its consumer group; whatever begins with credit-reader if not set
#   STREAMS   what it reads, such as "credit.decisions"; all outputs if not set
set -eu
. "$(dirname "$0")/grant.sh"

grant_topics "Read" "${STREAMS:-$OUTPUTS}"
if [ -n "${GROUP:-}" ]; then
  add --operation Read --group "$GROUP"
else
  add --operation Read --group credit-reader --resource-pattern-type prefixed
fi

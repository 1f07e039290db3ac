#!/bin/sh
# A system that sends orders, invoices, payments or customers. For grant.sh's variables see there; besides them
#
#   STREAMS   what it sends, such as "credit.orders"; all that comes from upstream if not set
set -eu
. "$(dirname "$0")/grant.sh"

grant_topics "Write" "${STREAMS:-$FROM_UPSTREAM}"

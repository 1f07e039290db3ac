#!/bin/sh
# The console: shows the outputs and the settings, sends what people command. For grant.sh's variables see there.
set -eu
. "$(dirname "$0")/grant.sh"

grant_topics "Read" "$OUTPUTS credit.settings"
grant_topics "Write" "credit.commands"
add --operation Read --group "$APPLICATION_ID-console"

#!/bin/sh
# A person who makes the topics, sends files, publishes settings and looks at what came out, with the commands of
# credit-stream. For grant.sh's variables see there.
set -eu
. "$(dirname "$0")/grant.sh"

# AlterConfigs: `topics check` says with kafka-configs what is to be mended.
grant_topics "Create DescribeConfigs AlterConfigs Read" "$FROM_UPSTREAM $FROM_PEOPLE $BETWEEN_TASKS $OUTPUTS"
grant_topics "Write" "$FROM_UPSTREAM $FROM_PEOPLE"
# Seen and made, never read or written: nobody but the workers may.
grant_topics "Create Describe DescribeConfigs AlterConfigs" "$OF_WORKERS"

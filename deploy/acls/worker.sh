#!/bin/sh
# A worker: takes the inputs, writes everything else. For grant.sh's variables see there.
set -eu
. "$(dirname "$0")/grant.sh"

# DescribeConfigs: it looks at the topics before it begins. Read and Write let see the topics too.
grant_topics "Read DescribeConfigs" "$FROM_UPSTREAM $FROM_PEOPLE"
grant_topics "Read Write DescribeConfigs" "$BETWEEN_TASKS $OF_WORKERS"
grant_topics "Write DescribeConfigs" "$OUTPUTS"
add --operation Read --group "$APPLICATION_ID"
# One transactional id for each partition: credit-stream-0, credit-stream-1, ...
add --operation Write --operation Describe --transactional-id "$APPLICATION_ID-" --resource-pattern-type prefixed

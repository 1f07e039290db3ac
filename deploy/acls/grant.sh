# What the scripts of the roles share. They take from the environment:
#
#   BOOTSTRAP        the brokers, HOST:PORT,...
#   PRINCIPAL        who gets the rights, such as User:credit-worker
#   COMMAND_CONFIG   a file with which an administrator logs in (kafka-acls --command-config); none if not set
#   KAFKA_ACLS       the program of Kafka, if it is not found as kafka-acls.sh
#   TOPIC_PREFIX     as in the connection file; empty if not set
#   APPLICATION_ID   as in the connection file; credit-stream if not set
#
# Rights that are there already are left as they are, so a script can be run again.

: "${BOOTSTRAP:?set it to the brokers, such as kafka-1:9093}"
: "${PRINCIPAL:?set it to who gets the rights, such as User:credit-worker}"
KAFKA_ACLS="${KAFKA_ACLS:-kafka-acls.sh}"
TOPIC_PREFIX="${TOPIC_PREFIX:-}"
APPLICATION_ID="${APPLICATION_ID:-credit-stream}"

# Sent by others: systems upstream and people. credit.inbox takes what the sender could not tell the type of.
FROM_UPSTREAM="credit.orders credit.invoices credit.payments credit.customers credit.groups"
FROM_PEOPLE="credit.commands credit.settings credit.clock credit.inbox"
# Sent by workers to each other.
BETWEEN_TASKS="credit.postings credit.group-requests credit.group-answers"
OUTPUTS="credit.decisions credit.holds credit.exposures credit.scores credit.limits credit.journals
  credit.statistics credit.runs credit.dead-letters"
# The rows of the workers, and the order in which they took the inputs.
OF_WORKERS="credit.state credit.sequence"

add() {
  "$KAFKA_ACLS" --bootstrap-server "$BOOTSTRAP" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
    --add --allow-principal "$PRINCIPAL" "$@"
}

# grant_topics "Read Write" "credit.orders credit.invoices"
grant_topics() {
  operations="$1"
  streams="$2"
  set --
  for operation in $operations; do set -- "$@" --operation "$operation"; done
  for stream in $streams; do set -- "$@" --topic "$TOPIC_PREFIX$stream"; done
  add "$@"
}

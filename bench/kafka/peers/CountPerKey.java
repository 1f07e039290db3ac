import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Counts events per key with Kafka Streams: exactly_once_v2, state in RocksDB with a changelog, one thread.
 *
 * <p>The processor API and not the DSL, because it does the least: no timestamp beside the count, no pair of old and
 * new value. No record cache, so that every event leads to one output and one changelog record, as in the other jobs.
 * All else is as Kafka Streams has it by default.
 *
 * <p>Arguments: brokers, application id, input topic, output topic, state directory, commit.interval.ms.
 */
public final class CountPerKey {
  private static final String STORE = "counts";

  private CountPerKey() {}

  public static void main(String[] arguments) throws InterruptedException {
    if (arguments.length != 6) {
      System.err.println("usage: CountPerKey BROKERS APPLICATION_ID INPUT OUTPUT STATE_DIRECTORY COMMIT_INTERVAL_MS");
      System.exit(2);
    }
    KafkaStreams streams = new KafkaStreams(topology(arguments[2], arguments[3]), settings(arguments));
    CountDownLatch stopped = new CountDownLatch(1);
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.ERROR || now == KafkaStreams.State.NOT_RUNNING) {
            stopped.countDown();
          }
        });
    streams.setGlobalStateRestoreListener(new RestoreReport());
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    streams.start();
    stopped.await();
  }

  private static Topology topology(String input, String output) {
    return new Topology()
        .addSource("events", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), input)
        .addProcessor("count", Count::new, "events")
        .addStateStore(
            Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.Long())
                .withCachingDisabled()
                .withLoggingEnabled(Map.of()),
            "count")
        .addSink("counts", output, Serdes.String().serializer(), Serdes.String().serializer(), "count");
  }

  private static Properties settings(String[] arguments) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[5]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    return settings;
  }

  /** One more for the key, kept and passed on. */
  private static final class Count implements Processor<String, byte[], String, String> {
    private ProcessorContext<String, String> context;
    private KeyValueStore<String, Long> counts;

    @Override
    public void init(ProcessorContext<String, String> context) {
      this.context = context;
      this.counts = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, byte[]> record) {
      Long before = counts.get(record.key());
      long count = before == null ? 1 : before + 1;
      counts.put(record.key(), count);
      context.forward(record.withValue(Long.toString(count)));
    }
  }

  /** Says on standard output, for each partition, how many changelog records were restored, and when. */
  private static final class RestoreReport implements StateRestoreListener {
    private final Map<TopicPartition, Long> begun = new ConcurrentHashMap<>();

    @Override
    public void onRestoreStart(TopicPartition partition, String store, long first, long end) {
      begun.put(partition, System.currentTimeMillis());
    }

    @Override
    public void onBatchRestored(TopicPartition partition, String store, long last, long count) {}

    @Override
    public void onRestoreEnd(TopicPartition partition, String store, long total) {
      long began = begun.getOrDefault(partition, 0L);
      System.out.println("restored " + total + " records, " + began + " to " + System.currentTimeMillis() + " ms");
    }
  }
}

/* mock_cluster.c: librdkafka's own Kafka broker in memory, for machines where no real one can be had.
 *
 * Prints "bootstrap HOST:PORT", then takes one command a line on stdin and answers each with "ok" or "error REASON":
 *   create TOPIC PARTITIONS | down | up
 * Ends with its stdin, so it does not outlive who started it. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BROKER = 1 };

static rd_kafka_resp_err_t obey(rd_kafka_mock_cluster_t *cluster, const char *line)
{
    char *topic = NULL;
    int partitions;
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__INVALID_ARG;
    if (sscanf(line, "create %ms %d", &topic, &partitions) == 2)
        result = rd_kafka_mock_topic_create(cluster, topic, partitions, 1);
    else if (!strcmp(line, "down\n"))
        result = rd_kafka_mock_broker_set_down(cluster, BROKER);
    else if (!strcmp(line, "up\n"))
        result = rd_kafka_mock_broker_set_up(cluster, BROKER);
    free(topic);
    return result;
}

int main(void)
{
    char reason[256];
    /* the handle only lends its thread's log and settings to the cluster */
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), reason, sizeof reason);
    rd_kafka_mock_cluster_t *cluster = handle ? rd_kafka_mock_cluster_new(handle, BROKER) : NULL;
    if (!cluster) {
        fprintf(stderr, "mock_cluster: %s\n", handle ? "no cluster" : reason);
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("bootstrap %s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        rd_kafka_resp_err_t error = obey(cluster, line);
        if (error)
            printf("error %s\n", rd_kafka_err2str(error));
        else
            printf("ok\n");
    }
    free(line);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(handle);
    return 0;
}

/* lookup.c: the table of kinds of external tables, their options, and waiting for the network. */
#include "protocol/connector/lookup.h"

#include "storage/base/clock.h"

#include <errno.h>
#include <poll.h>

static const struct lookup_class *const classes[] = {&lookup_postgres, &lookup_redis};

const struct lookup_class *lookup_at(size_t index)
{
    return index < ARRAY_COUNT(classes) ? classes[index] : NULL;
}

const struct lookup_class *lookup_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++) {
        if (strcmp(classes[i]->name, name) == 0)
            return classes[i];
    }
    return NULL;
}

/* Options are those of connectors, of a class that can do nothing else. */
static struct source_spec options_of(const struct lookup_spec *spec)
{
    return (struct source_spec){.options = spec->options, .options_count = spec->options_count};
}

const char *lookup_option(const struct lookup_class *class, const struct lookup_spec *spec, const char *name)
{
    struct connector_class options = {.name = class->name, .options = class->options};
    struct source_spec source = options_of(spec);
    return connector_option(&options, &source, name);
}

bool lookup_check_options(const struct lookup_class *class, const struct lookup_spec *spec, struct error *err)
{
    struct connector_class options = {.name = class->name, .options = class->options};
    struct source_spec source = options_of(spec);
    return connector_check_options(&options, &source, err);
}

bool lookup_wait_for(int fd, short events, const struct lookup_wait *wait, struct error *err)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = wait->stop_fd, .events = POLLIN}};
        int64_t left_ns = wait->deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0)
            return error_set(err, ERRCODE_CONNECTION_FAILURE, "no answer in time");
        int ready = poll(fds, 2, (int)((left_ns + 999999) / 1000000));
        if (ready < 0 && errno != EINTR)
            return error_set(err, ERRCODE_CONNECTION_FAILURE, "could not wait for the network: %s",
                             strerror(errno));
        if (ready > 0 && fds[1].revents != 0)
            return error_set(err, ERRCODE_ADMIN_SHUTDOWN, "the external table is being closed");
        if (ready > 0)
            return true;
    }
}

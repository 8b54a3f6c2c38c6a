# tests.cmake: every tests/<folder>/test_*.c is one program and one ctest entry; tests with real servers follow.
enable_testing()
# What tests of faults share: a disk in memory, a server in the test's process.
file(GLOB fault_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fault/*.c)
list(FILTER fault_sources EXCLUDE REGEX "/test_")
add_library(mr_fault STATIC ${fault_sources})

file(GLOB_RECURSE unit_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/test_*.c)
foreach(file ${unit_tests})
  get_filename_component(name ${file} NAME_WE)
  get_filename_component(dir ${file} DIRECTORY)
  get_filename_component(dir ${dir} NAME)
  add_executable(${name} ${file})
  target_link_libraries(${name} $<$<STREQUAL:${dir},fault>:mr_fault> ${MILLRACE_LINK})
  target_compile_definitions(${name} PRIVATE MILLRACE_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
  add_test(NAME ${dir}/${name} COMMAND ${name})
endforeach()

# What our code asks of the system goes through the test.
target_link_options(test_allocations PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign,--wrap=mmap)
# Its sinks write to a connector of its own.
target_link_options(test_sinks PRIVATE -Wl,--wrap=sink_find)

# What uses vector instructions once more with the portable code instead: as other processors will run it.
if(NOT MILLRACE_PORTABLE)
  file(GLOB portable_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/storage/state/*.c
    ${CMAKE_SOURCE_DIR}/protocol/pgwire/copy*.c ${CMAKE_SOURCE_DIR}/protocol/format/json_*.c)
  add_library(mr_portable OBJECT ${portable_sources})
  target_compile_definitions(mr_portable PUBLIC MILLRACE_PORTABLE=1)
  foreach(name storage/test_arrangement storage/test_hashed_table storage/test_ordered_table
      storage/test_row_store storage/test_segments protocol/test_copy_text protocol/test_format_json)
    get_filename_component(base ${name} NAME)
    add_executable(${base}_portable ${CMAKE_SOURCE_DIR}/tests/${name}.c)
    # objects come before the archives, whose copies of the same files are then never taken
    target_link_libraries(${base}_portable mr_portable ${MILLRACE_LINK})
    add_test(NAME ${name}_portable COMMAND ${base}_portable)
  endforeach()
endif()

file(GLOB benches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/bench/bench_*.c)
foreach(file ${benches})
  get_filename_component(name ${file} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${file})
  target_link_libraries(${name} ${MILLRACE_LINK})
endforeach()

pkg_check_modules(LIBPQ REQUIRED libpq)
add_executable(slt tests/slt/slt.c)
target_include_directories(slt SYSTEM PRIVATE ${LIBPQ_INCLUDE_DIRS})
target_link_libraries(slt ${LIBPQ_LINK_LIBRARIES} crypto)
add_executable(pg_client EXCLUDE_FROM_ALL tests/bench/pg_client.c)
target_include_directories(pg_client SYSTEM PRIVATE ${LIBPQ_INCLUDE_DIRS})
target_link_libraries(pg_client ${LIBPQ_LINK_LIBRARIES})

add_executable(format_rows tests/protocol/format_rows.c)
target_link_libraries(format_rows ${MILLRACE_LINK})

# name script [arguments]: a Python test that starts its own servers
function(add_server_test name script)
  add_test(NAME ${name} COMMAND /usr/bin/python3 -B ${CMAKE_SOURCE_DIR}/tests/${script} $<TARGET_FILE:millrace> ${ARGN})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1500)
endfunction()

if(NOT TARGET millrace)
  return()
endif()
add_server_test(slt/one-worker slt/run_slt.py $<TARGET_FILE:slt> --workers 1)
add_server_test(slt/four-workers slt/run_slt.py $<TARGET_FILE:slt> --workers 4)
add_server_test(slt/postgres slt/run_slt.py $<TARGET_FILE:slt> --postgres)
add_server_test(server/reference server/reference_test.py)
add_server_test(server/keys server/keys_test.py)
add_server_test(server/tpch server/tpch_test.py)
add_server_test(server/tpch-4-workers server/tpch_test.py --workers 4)
add_server_test(server/copy server/copy_test.py)
add_server_test(server/copy-2-workers server/copy_test.py --workers 2)
add_server_test(server/consistency server/consistency_test.py)
add_server_test(server/calendar server/calendar_test.py)
add_server_test(server/event-time server/event_time_test.py)
add_server_test(server/event-time-3-workers server/event_time_test.py --workers 3)
add_server_test(server/lookup-join server/lookup_join_test.py)
add_server_test(server/lookup-join-3-workers server/lookup_join_test.py --workers 3)
add_server_test(server/external server/external_test.py)
add_server_test(server/external-3-workers server/external_test.py --workers 3)
add_server_test(server/interval-join server/interval_join_test.py)
add_server_test(server/retention server/retention_test.py)
add_server_test(server/retention-3-workers server/retention_test.py --workers 3)
add_server_test(server/dpkg-log server/dpkg_log_test.py)
add_server_test(server/nexmark server/nexmark_test.py --events 20000)
add_server_test(server/nexmark-4-workers server/nexmark_test.py --events 20000 --workers 4)
add_server_test(oracle/1-worker oracle/oracle.py --seed 1 --seeds 6 --statements 150)
add_server_test(oracle/2-workers oracle/oracle.py --seed 101 --seeds 4 --statements 100 --workers 2)
add_server_test(oracle/4-workers oracle/oracle.py --seed 201 --seeds 4 --statements 100 --workers 4)
add_server_test(oracle/windows oracle/oracle.py --seed 401 --seeds 4 --statements 100 --views 20 --windows --workers 2)
add_server_test(oracle/big-ticks oracle/oracle.py --seed 301 --seeds 2 --statements 60 --big --workers 2)
add_server_test(oracle/beside oracle/oracle.py --beside --seed 501 --seeds 2 --statements 45 --big --workers 2)
add_server_test(oracle/restart oracle/oracle.py --seed 501 --seeds 3 --statements 80 --restart 7)
add_server_test(oracle/restart-2-workers oracle/oracle.py --seed 601 --seeds 2 --statements 80 --windows --restart 9 --workers 2)
add_server_test(oracle/over oracle/oracle.py --only over --seed 401 --seeds 3 --statements 100 --workers 2)
add_server_test(protocol/json-oracle protocol/json_oracle_test.py $<TARGET_FILE:format_rows>)
add_server_test(server/first-session server/first_session_test.py)
add_server_test(server/protocol server/protocol_test.py)
add_server_test(server/psql server/psql_test.py --postgres)
add_server_test(server/robust server/robust_test.py)
add_server_test(server/incremental server/incremental_test.py)
add_server_test(server/backfill server/backfill_test.py --rows 500000)
add_server_test(server/backfill-3-workers server/backfill_test.py --rows 300000 --workers 3)
add_server_test(server/columns server/columns_test.py --workers 2)
add_server_test(server/columns-1-worker server/columns_test.py --rows 300000 --workers 1)
add_server_test(crash/keep crash/keep_test.py)
add_server_test(crash/format crash/format_test.py)
add_server_test(crash/kill crash/kill_test.py)
add_server_test(crash/checkpoint crash/checkpoint_test.py)
add_server_test(crash/drop crash/drop_test.py)
add_server_test(crash/columns crash/columns_test.py --workers 1,3)
add_server_test(crash/columns-2-workers crash/columns_test.py --workers 2 --seed 2 --rounds 6)
add_server_test(crash/build crash/build_test.py)
add_server_test(crash/build-3-workers crash/build_test.py --workers 3 --only views --seed 2)
# a start with another number of workers each
add_server_test(crash/checkpoint-any-workers crash/checkpoint_test.py --seed 3 --workers 1,2,4,3,1)
add_server_test(crash/kill-any-workers crash/kill_test.py --workers 2,1,3)
add_server_test(oracle/columns oracle/oracle.py --seed 801 --seeds 3 --statements 80 --columns 0.2 --restart 9 --workers 1,3,2)
add_server_test(oracle/restart-any-workers oracle/oracle.py --seed 701 --seeds 3 --statements 80 --restart 6 --workers 1,2,4,3,1)
add_server_test(server/event-time-any-workers server/event_time_test.py --workers 4,2,1,3)
add_server_test(server/temporal-any-workers server/temporal_test.py --workers 3,1,4,2 --seed 200 --seeds 2)
add_server_test(server/retention-any-workers server/retention_test.py --workers 2,3,1)
add_server_test(server/http server/http_test.py)
add_server_test(server/temporal server/temporal_test.py)
add_server_test(server/temporal-4-workers server/temporal_test.py --workers 4 --seed 100 --seeds 2)
add_server_test(server/stress server/stress_test.py)
add_server_test(server/sources server/sources_test.py)
add_server_test(server/memory server/memory_test.py)
add_server_test(server/memory-2-workers server/memory_test.py --workers 2)
add_server_test(server/secrets server/secrets_test.py)
add_server_test(server/refused-memory server/refused_memory_test.py)
add_server_test(server/sources-2-workers server/sources_test.py --workers 2)

# With a real Kafka broker or the mock cluster (tests/kafka/kafka_support.py); skipped are tests that need the first.
pkg_check_modules(RDKAFKA REQUIRED rdkafka)
add_executable(mock_cluster tests/kafka/mock_cluster.c)
target_include_directories(mock_cluster SYSTEM PRIVATE ${RDKAFKA_INCLUDE_DIRS})
target_link_libraries(mock_cluster ${RDKAFKA_LINK_LIBRARIES})
add_executable(log_tool tests/kafka/log_tool.c)
target_link_libraries(log_tool ${MILLRACE_LINK})
function(add_kafka_test name script)
  add_server_test(kafka/${name} kafka/${script} ${ARGN})
  set_tests_properties(kafka/${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()
add_kafka_test(support support_test.py)
add_kafka_test(log log_test.py)
add_kafka_test(rows rows_test.py)
add_kafka_test(sink sink_test.py)
add_kafka_test(consistency consistency_test.py)
add_kafka_test(hazards hazards_test.py)
add_kafka_test(crash crash_test.py)
add_kafka_test(crash-broker crash_test.py --broker)
add_kafka_test(security security_test.py)
add_kafka_test(registry registry_test.py)
add_kafka_test(schemas schemas_test.py)
add_kafka_test(errors errors_test.py)
add_kafka_test(errors-3-workers errors_test.py --workers 3)
add_kafka_test(progress progress_test.py)
add_kafka_test(tutorial tutorial_test.py)
# With more workers, what rows meet on their way through the views and back: where several of them decode, keep, order and write rows.
# Brokers, options and what is said of them meet no worker: those parts run above.
add_kafka_test(rows-2-workers rows_test.py --only many,counted,upserts,bad_records --workers 2)
add_kafka_test(sink-2-workers sink_test.py --only changes,envelopes,altered,kills,at_least_once,large,memory --workers 2)
add_kafka_test(progress-3-workers progress_test.py --only streams,belongings,tables,policies,watermarks,full,in_flight --workers 3)

# How CTest packs them, which counts in halves of a processor: about half of the time, tests with brokers wait for those.
get_property(all_tests DIRECTORY PROPERTY TESTS)
foreach(name ${all_tests})
  if(NOT name MATCHES "^kafka/|/test_kafka_log$")
    set_tests_properties(${name} PROPERTIES PROCESSORS 2)
  endif()
endforeach()

# Of those that differ in nothing but the number of workers (and the oracle's seeds), sanitizers see one, with several workers where
# it has all parts; ./dev check all: each of them, as ./dev test does.
set_tests_properties(slt/one-worker server/tpch server/copy server/event-time server/lookup-join server/external server/retention
  server/nexmark server/backfill server/sources server/temporal server/memory oracle/1-worker oracle/restart crash/columns-2-workers
  crash/build-3-workers kafka/errors kafka/sink-2-workers kafka/rows-2-workers kafka/progress-3-workers PROPERTIES LABELS twin)

# Seconds of those that take long, so that none of them begins when all others are done.
function(add_costs)
  while(ARGN)
    list(POP_FRONT ARGN name cost)
    if(name IN_LIST all_tests)
      set_tests_properties(${name} PROPERTIES COST ${cost})
    endif()
  endwhile()
endfunction()
add_costs(
  oracle/beside 240 server/consistency 200 oracle/1-worker 120 server/memory 90 server/memory-2-workers 90 server/tpch 110 oracle/windows 100 oracle/big-ticks 100
  server/tpch-4-workers 95 slt/postgres 80 oracle/2-workers 75 server/calendar 60 oracle/over 55 server/copy-2-workers 50
  server/event-time-3-workers 50 oracle/restart 50 server/nexmark 45 server/temporal 40 oracle/4-workers 40 server/event-time 40
  server/nexmark-4-workers 40 server/backfill 40 server/backfill-3-workers 40 server/copy 35 slt/one-worker 30 slt/four-workers 30
  crash/build 30 crash/kill 30 crash/kill-any-workers 25 server/external 30 oracle/restart-2-workers 30
  kafka/sink 130 kafka/sink-2-workers 100 kafka/crash 70 kafka/crash-broker 70 kafka/progress 50 kafka/progress-3-workers 40
  kafka/security 40 kafka/rows 40 kafka/rows-2-workers 35 kafka/log 40 kafka/support 35 kafka/consistency 35 kafka/hazards 25
  kafka/schemas 25 kafka/registry 20 protocol/test_kafka_log 30)

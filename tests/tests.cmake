# tests.cmake: every tests/<folder>/test_*.c is one program and one ctest entry; tests with real servers follow.
enable_testing()
file(GLOB_RECURSE unit_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/test_*.c)
foreach(file ${unit_tests})
  get_filename_component(name ${file} NAME_WE)
  get_filename_component(dir ${file} DIRECTORY)
  get_filename_component(dir ${dir} NAME)
  add_executable(${name} ${file})
  target_link_libraries(${name} ${MILLRACE_LINK})
  add_test(NAME ${dir}/${name} COMMAND ${name})
endforeach()

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

# name script [arguments]: a Python test that starts its own servers
function(add_server_test name script)
  add_test(NAME ${name} COMMAND python3 -B ${CMAKE_SOURCE_DIR}/tests/${script} $<TARGET_FILE:millrace> ${ARGN})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1500)
endfunction()

add_server_test(slt/one-worker slt/run_slt.py $<TARGET_FILE:slt> --workers 1)
add_server_test(slt/four-workers slt/run_slt.py $<TARGET_FILE:slt> --workers 4)
add_server_test(slt/postgres slt/run_slt.py $<TARGET_FILE:slt> --postgres)

# The few functions that every folder's CMakeLists uses.

add_library(interlock_flags INTERFACE)
target_compile_options(interlock_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion
  $<$<BOOL:${INTERLOCK_WERROR}>:-Werror>)
if(INTERLOCK_SANITIZE)
  target_compile_options(interlock_flags INTERFACE
    -fsanitize=${INTERLOCK_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(interlock_flags INTERFACE -fsanitize=${INTERLOCK_SANITIZE})
else()
  target_compile_definitions(interlock_flags INTERFACE
    $<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
endif()
target_compile_options(interlock_flags INTERFACE -fstack-protector-strong)

find_program(INTERLOCK_CCACHE ccache)
if(INTERLOCK_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${INTERLOCK_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${INTERLOCK_CCACHE})
endif()
find_program(INTERLOCK_MOLD mold)
if(INTERLOCK_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_link_options(interlock_flags INTERFACE -fuse-ld=mold)
endif()

# What a program that lives long and hands memory from thread to thread allocates from (ADR 61). Sanitizers bring
# their own.
add_library(interlock_allocator INTERFACE)
if(NOT INTERLOCK_SANITIZE)
  find_library(INTERLOCK_JEMALLOC jemalloc REQUIRED)
  target_link_libraries(interlock_allocator INTERFACE ${INTERLOCK_JEMALLOC})
endif()

# A unity build reads the headers of eight files once, and they are most of what a file costs. To g++ lambdas in the
# coroutines of such files look as if a header had them.
function(interlock_unity target)
  if(NOT INTERLOCK_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

# interlock_library(audit SOURCES … PUBLIC … PRIVATE …): static library `interlock_audit` whose public headers
# live in <folder>/include and are reached only by linking it.
function(interlock_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(interlock_${name} STATIC ${ARG_SOURCES})
  target_include_directories(interlock_${name}
    PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_link_libraries(interlock_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} interlock_flags)
  interlock_unity(interlock_${name})
endfunction()

# interlock_program(name SOURCES … LIBS …)
function(interlock_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} interlock_flags)
endfunction()

# interlock_test(name [UNITY] SOURCES … LIBS … [LABELS …] [TIMEOUT s]): a GoogleTest binary, one ctest a binary.
function(interlock_test name)
  cmake_parse_arguments(ARG "UNITY" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gmock_main interlock_flags)
  if(ARG_UNITY)
    interlock_unity(${name})
  elseif(INTERLOCK_PCH)
    target_precompile_headers(${name} REUSE_FROM interlock_test_headers)
    # g++ 12 warns of what it inlines from the standard library, once that is precompiled.
    target_compile_options(${name} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow>")
  endif()
  target_compile_definitions(${name} PRIVATE
    INTERLOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}" INTERLOCK_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# interlock_fuzzer(name SOURCES … LIBS … CORPUS dir): with INTERLOCK_FUZZ a libFuzzer program; always a test
# that replays the corpus through the same entry point.
function(interlock_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;LIBS" ${ARGN})
  if(INTERLOCK_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_LIBS} interlock_flags)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    file(WRITE ${PROJECT_BINARY_DIR}/fuzz/${name}.corpus "${ARG_CORPUS}\n")  # for ./dev fuzz
  else()
    add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    target_link_libraries(${name} PRIVATE ${ARG_LIBS} interlock_flags)
    add_test(NAME ${name}_replay COMMAND ${name} ${ARG_CORPUS})
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
endfunction()

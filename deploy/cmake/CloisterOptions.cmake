# Options, language level, warnings and hardening for every target of the project.

option(CLOISTER_BUILD_TESTS "Build the tests and benchmarks" ON)
option(CLOISTER_BUILD_GUESTS "Build a guest binary for each runtime image that is installed" ON)
option(CLOISTER_FUZZ "Build the fuzzers with libFuzzer (clang only)" OFF)
set(CLOISTER_IMAGE_DIR "/var/lib/cloister/images" CACHE PATH "Where deploy/images/build.sh puts runtime images")
set(CLOISTER_SANITIZE "" CACHE STRING "Value of -fsanitize= for host-side code; guests are never instrumented")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

add_library(cloister_options INTERFACE)
target_compile_options(cloister_options INTERFACE
  -Wall -Wextra -Werror -Wnon-virtual-dtor -Woverloaded-virtual -fno-omit-frame-pointer
  -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(cloister_options INTERFACE -Wthread-safety -Wshadow-uncaptured-local)
endif()
if(CMAKE_BUILD_TYPE MATCHES Rel AND NOT CLOISTER_SANITIZE)
  target_compile_definitions(cloister_options INTERFACE _FORTIFY_SOURCE=2)
endif()
target_link_options(cloister_options INTERFACE -Wl,-z,relro,-z,now)
if(CLOISTER_SANITIZE)
  target_compile_options(cloister_options INTERFACE -fsanitize=${CLOISTER_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(cloister_options INTERFACE -fsanitize=${CLOISTER_SANITIZE})
endif()

find_program(CLOISTER_CCACHE ccache)
if(CLOISTER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CLOISTER_CCACHE})
endif()
find_program(CLOISTER_MOLD mold)
if(CLOISTER_MOLD AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_link_options(-fuse-ld=mold)
endif()

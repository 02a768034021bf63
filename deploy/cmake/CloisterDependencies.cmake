# Everything comes from the distribution's packages. One alias per library, so that the rest of the
# build does not care whether it was found by find_package or pkg-config.

find_package(Threads REQUIRED)
find_package(Protobuf CONFIG QUIET)
if(NOT Protobuf_FOUND)
  find_package(Protobuf REQUIRED)
endif()
find_package(absl REQUIRED)
find_package(gRPC CONFIG QUIET)
find_package(PkgConfig REQUIRED)

if(NOT TARGET gRPC::grpc++)
  pkg_check_modules(GRPCPP REQUIRED IMPORTED_TARGET grpc++)
  add_library(gRPC::grpc++ ALIAS PkgConfig::GRPCPP)
  find_library(GRPCPP_REFLECTION grpc++_reflection REQUIRED)
  add_library(gRPC::grpc++_reflection UNKNOWN IMPORTED)
  set_target_properties(gRPC::grpc++_reflection PROPERTIES IMPORTED_LOCATION ${GRPCPP_REFLECTION}
    INTERFACE_LINK_LIBRARIES gRPC::grpc++)
endif()
find_program(CLOISTER_PROTOC protoc REQUIRED)
find_program(CLOISTER_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)

pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)

# Asio is headers only and has neither a CMake config nor a .pc file everywhere.
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
add_library(cloister_asio INTERFACE)
target_include_directories(cloister_asio SYSTEM INTERFACE ${ASIO_INCLUDE_DIR})
target_compile_definitions(cloister_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED)
target_link_libraries(cloister_asio INTERFACE Threads::Threads)

if(CLOISTER_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
endif()

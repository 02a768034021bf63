// Files that come with a request: whether a sandbox can take them.

#ifndef CLOISTER_SERVICE_CORE_PLACED_FILES_H_
#define CLOISTER_SERVICE_CORE_PLACED_FILES_H_

#include <cstdint>
#include <string>

#include "cloister/v1/program.pb.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace cloister::core {

// Why they could not be placed in a sandbox of so much memory, whatever else is in it, for people;
// empty where they can. Each lies in the request and in the workspace until all are there, beside
// what the interpreter holds. Thread-safety: safe.
std::string PlacingProblem(const google::protobuf::RepeatedPtrField<v1::File>& files,
                           int64_t memory_bytes);

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_PLACED_FILES_H_

// A program that one guest has compiled and others run.

#ifndef CLOISTER_SANDBOX_BASE_COMPILED_PROGRAM_H_
#define CLOISTER_SANDBOX_BASE_COMPILED_PROGRAM_H_

#include <cstddef>

namespace cloister::sandbox {

// What code objects may take, marshalled, in the host's memory: several times what ordinary source
// does. Where they would take more (constants that are folded), each run compiles the source.
inline constexpr size_t MaxCompiledBytes(size_t code_bytes) {
  return 8 * code_bytes + (size_t{4} << 10);
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_COMPILED_PROGRAM_H_

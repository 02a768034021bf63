// What a further interpreter may be asked to be, whoever asks: a client, or code in the sandbox.

#ifndef CLOISTER_SERVICE_CORE_INTERPRETER_BOUNDS_H_
#define CLOISTER_SERVICE_CORE_INTERPRETER_BOUNDS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace cloister::core {

inline constexpr int kMaximumImports = 64;
// Less, and not even an interpreter fits.
inline constexpr int64_t kLeastInterpreterMemoryBytes = int64_t{8} << 20;

// Why it may not be so; empty where it may.

// The last part of its name; empty for one that is chosen.
std::string InterpreterIdProblem(std::string_view id);
// The name of a module to import.
std::string ImportProblem(std::string_view name);

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_INTERPRETER_BOUNDS_H_

// Removes what lies at a path, with all it holds, while somebody hostile moves things about.

#ifndef CLOISTER_SANDBOX_FILES_REMOVE_BENEATH_H_
#define CLOISTER_SANDBOX_FILES_REMOVE_BENEATH_H_

#include <cstdint>

#include "cloister/internal/v1/file_access.pb.h"

namespace cloister::sandbox {

// What one request removes; then it answers is_partial, so that others get their turn and a guest
// that makes files as fast as they go keeps nobody for ever.
inline constexpr int kMaxRemovedEntries = 10'000;
inline constexpr int kMaxVisitsOfRemoval = 4 * kMaxRemovedEntries;
// How deep it goes. What is deeper is moved up first.
inline constexpr int kMaxRemoveDepth = 64;

// Fills reply's is_partial; an errno value, or 0. Thread-safety: safe.
int RemoveBeneath(int root, const internal::v1::RemovePath& request,
                  internal::v1::FileReply* reply);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_FILES_REMOVE_BENEATH_H_

// Lists a directory in sorted pages with bounded memory, however much a hostile program has put
// there.

#ifndef CLOISTER_SANDBOX_FILES_LIST_DIRECTORY_H_
#define CLOISTER_SANDBOX_FILES_LIST_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "cloister/internal/v1/file_access.pb.h"

namespace cloister::sandbox {

// What a page may hold, whatever is asked for.
inline constexpr int kMaxListedPaths = 1000;
inline constexpr size_t kMaxListedBytes = size_t{1} << 20;
// What is looked at for one page; past it E2BIG. The guest could add entries faster than they are
// read.
inline constexpr int64_t kMaxVisitedEntries = 1'000'000;
// How deep a recursive list goes below the directory that was asked for, and below which paths:
// what is deeper could not be named by a caller.
inline constexpr int kMaxListDepth = 64;
inline constexpr size_t kMaxDescentBytes = 3840;

// Fills the reply's infos, is_partial and continue_after; an errno value, or 0. Thread-safety:
// safe.
int ListBeneath(int root, const internal::v1::ListPath& request, internal::v1::FileReply* reply);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_FILES_LIST_DIRECTORY_H_

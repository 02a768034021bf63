// Puts a program's files into its workspace and takes the wanted ones out again.
//
// The workspace is the directory `workspace`. Paths are taken apart and opened segment by segment,
// never through a symbolic link, so that nothing outside the workspace is read or written, whatever
// the program has left there. No CPython here.

#ifndef CLOISTER_SANDBOX_GUEST_WORKSPACE_FILES_H_
#define CLOISTER_SANDBOX_GUEST_WORKSPACE_FILES_H_

#include <cstdint>
#include <string>

#include "cloister/v1/outcome.pb.h"
#include "cloister/v1/program.pb.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace cloister::sandbox {

// The bytes of all returned files of one program together.
inline constexpr int64_t kMaxReturnedFileBytes = int64_t{32} << 20;

// The call that failed: errno and the path it failed on. 0 for none.
struct FileError {
  int error_number = 0;
  std::string path;
};

// Writes one file, making its parents and replacing what is there.
FileError PlaceFile(int workspace, const v1::File& file);

// Reads regular files, in the order asked for, until `kMaxReturnedFileBytes` are full. What cannot
// be returned has `error` set.
void CollectFiles(int workspace, const google::protobuf::RepeatedPtrField<std::string>& paths,
                  google::protobuf::RepeatedPtrField<v1::ReturnedFile>* files);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_WORKSPACE_FILES_H_

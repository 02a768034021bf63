// The standard streams of Python and their descriptors: made once, and put right again before each cell
// of a session, whatever the cell before did to them.

#ifndef CLOISTER_SANDBOX_GUEST_STANDARD_STREAMS_H_
#define CLOISTER_SANDBOX_GUEST_STANDARD_STREAMS_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Thread-safety: the main thread, with the GIL.
class StandardStreams {
 public:
  StandardStreams() = default;
  StandardStreams(const StandardStreams&) = delete;
  StandardStreams& operator=(const StandardStreams&) = delete;

  // In the zygote: sys.stdin, sys.stdout, sys.stderr and print().
  absl::Status SetUp();

  // In a session, before its first cell: remembers what the descriptors are.
  void Keep();

  // Closes what it remembers them by; Keep() is to follow.
  void Forget();

  // Makes descriptors and sys.std* what they were, and gives `input` as standard input. False with a
  // Python exception set.
  bool Renew(const std::string& input);

 private:
  struct Output {
    int fd;
    const char* name;
    const char* original_name;
    PyRef stream;
    UniqueFd copy;
    dev_t device = 0;
    ino_t inode = 0;
  };

  void RenewDescriptor(const Output& output);
  bool RenewOutput(Output* output);
  bool RenewInput(const std::string& input);

  PyRef make_output_;
  PyRef make_input_;
  PyRef input_stream_;
  bool has_input_ = false;  // the cell before was given standard input
  Output outputs_[2] = {{1, "stdout", "__stdout__", {}, {}}, {2, "stderr", "__stderr__", {}, {}}};
};

// Flushes what sys.stdout and sys.stderr are now, and C's streams. Errors are dropped.
void FlushStreams();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_STANDARD_STREAMS_H_

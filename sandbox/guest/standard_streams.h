// The standard streams of Python and their descriptors: made once, and put right again before each
// cell of a session, whatever the cell before did to them.

#ifndef CLOISTER_SANDBOX_GUEST_STANDARD_STREAMS_H_
#define CLOISTER_SANDBOX_GUEST_STANDARD_STREAMS_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Thread-safety: the interpreter's first thread, with the GIL.
class StandardStreams {
 public:
  // Of a process's only interpreter: descriptors 0, 1 and 2, which C code uses as well.
  StandardStreams() : StandardStreams(UniqueFd(), UniqueFd()) {}

  // Of one of several interpreters: descriptors of its own. What C code writes to 1 and 2 is not
  // among it, and standard input is a file of its own.
  StandardStreams(UniqueFd output, UniqueFd error);

  StandardStreams(const StandardStreams&) = delete;
  StandardStreams& operator=(const StandardStreams&) = delete;

  // Once, in the zygote for main: sys.stdin, sys.stdout, sys.stderr and print().
  absl::Status SetUp();

  int stdout_fd() const { return outputs_[0].fd; }
  int stderr_fd() const { return outputs_[1].fd; }

  // As FlushStreams; C's streams only where they are the interpreter's.
  void Flush() const;

  // In a session, before its first cell: remembers what the descriptors are.
  void Keep();

  // Closes what it remembers them by; Keep() is to follow.
  void Forget();

  // Makes descriptors and sys.std* what they were, and gives `input` as standard input. False with
  // a Python exception set.
  bool Renew(const std::string& input);

 private:
  struct Output {
    int fd;
    const char* name;
    const char* original_name;
    PyRef stream = {};
    UniqueFd copy = {};
    dev_t device = 0;
    ino_t inode = 0;
  };

  void RenewDescriptor(const Output& output);
  bool RenewOutput(Output* output);
  bool RenewInput(const std::string& input);
  PyRef MakeOutput(const Output& output);
  // Python's, of descriptor 0 or of a file of its own with `input`.
  PyRef MakeInput(const std::string& input);

  const UniqueFd own_output_;
  const UniqueFd own_error_;
  PyRef make_output_;
  PyRef make_input_;
  PyRef input_stream_;
  bool has_input_ = false;  // the cell before was given standard input
  Output outputs_[2];
};

// Flushes what sys.stdout and sys.stderr are now, and C's streams. Errors are dropped.
void FlushStreams();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_STANDARD_STREAMS_H_

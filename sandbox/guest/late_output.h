// What threads and tasks write when their cell is over travels in frames that name it.

#ifndef CLOISTER_SANDBOX_GUEST_LATE_OUTPUT_H_
#define CLOISTER_SANDBOX_GUEST_LATE_OUTPUT_H_

#include "sandbox/guest/frame_sender.h"

namespace cloister::sandbox {

// From here on what is written late to these descriptors goes to `sender`, which outlives the
// interpreter. Once per interpreter.
void SendLateOutput(FrameSender* sender, int stdout_fd, int stderr_fd);

// A cell starts: as much again may be written late. What goes beyond is dropped, and told once.
void RenewLateOutputAllowance();

// While no frame may be sent: what would be late output goes where that of C code goes.
void HoldLateOutput(bool hold);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_LATE_OUTPUT_H_

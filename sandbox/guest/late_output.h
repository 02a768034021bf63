// What threads and tasks write when their cell is over travels in frames that name it.

#ifndef CLOISTER_SANDBOX_GUEST_LATE_OUTPUT_H_
#define CLOISTER_SANDBOX_GUEST_LATE_OUTPUT_H_

#include "sandbox/guest/frame_sender.h"

namespace cloister::sandbox {

// From here on late output goes to `sender`, which outlives the interpreter. Once per process.
void SendLateOutput(FrameSender* sender);

// A cell starts: as much again may be written late. What goes beyond is dropped, and told once.
void RenewLateOutputAllowance();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_LATE_OUTPUT_H_

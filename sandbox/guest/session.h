// An interpreter of a live sandbox, from the guest's side: cells one after another in one module
// __main__, and what a notebook asks between them.
//
// The gate of interrupts is closed but while a cell's own code runs, or its tasks between cells, so
// that an interrupt that comes late hits nothing; what is pending is dropped when the next cell
// starts. The host repeats its interrupts.

#ifndef CLOISTER_SANDBOX_GUEST_SESSION_H_
#define CLOISTER_SANDBOX_GUEST_SESSION_H_

#include <string>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/guest/frame_sender.h"
#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/notebook.h"
#include "sandbox/guest/program_runner.h"
#include "sandbox/guest/standard_streams.h"

namespace cloister::sandbox {

// Thread-safety: the interpreter's first thread, with the GIL. Ownership: borrows everything it is
// made of; once opened it lives as long as the interpreter.
class Session {
 public:
  Session(ProgramRunner* runner, Notebook* notebook, StandardStreams* streams, InterruptGate* gate,
          int channel)
      : runner_(*runner),
        notebook_(*notebook),
        streams_(*streams),
        gate_(*gate),
        sender_(channel) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Applies environment, files and, where there are any, limits; the current directory is the
  // workspace. An error means that no cell may run.
  absl::Status Open(internal::v1::OpenSession request);

  // Imports modules before the first cell. False with `failed` filled at the first that cannot be.
  bool Import(const google::protobuf::RepeatedPtrField<std::string>& modules,
              internal::v1::ImportFailed* failed);

  // The host's next frame but for answers to questions that nobody asks any more. Threads and tasks
  // of earlier cells go on meanwhile. Errors: as ReadFrame.
  absl::Status Receive(internal::v1::HostFrame* frame);

  // Does what the frame asks and returns what to answer; an empty frame where it asks for nothing
  // that a session does.
  internal::v1::GuestFrame Answer(internal::v1::HostFrame frame);

  // Errors: as WriteFrame.
  absl::Status Send(const internal::v1::GuestFrame& frame);

  // Sends what a signal kept from being sent, so that the channel is between two frames.
  absl::Status Flush();

  // Before the process is copied: closes the descriptors of ours that a copy must not share. After
  // it, in the process and in its copy: makes them anew. Nothing else may be called between the
  // two.
  void BeforeCopy();
  void AfterCopy();

  // Whether this is not a fork that the user's code made.
  bool IsOwner() const { return sender_.IsOwner(); }

 private:
  // Runs a cell. Its state, threads and open files stay.
  internal::v1::Finished ExecuteCell(internal::v1::ExecuteCell request);

  // Gives the cell its inputs and runs it; nothing with a Python exception set where it raised.
  PyRef Run(const internal::v1::ExecuteCell& request);

  // Describes the value as the cell asks. False with a Python exception set.
  bool DescribeResult(const internal::v1::ExecuteCell& request, PyObject* value,
                      internal::v1::Finished* finished);

  // Shows and describes what a cell raised.
  void ReportException(PyRef exception, internal::v1::Finished* finished);

  // Lets tasks go on until a frame arrives.
  void AwaitFrame();

  ProgramRunner& runner_;
  Notebook& notebook_;
  StandardStreams& streams_;
  InterruptGate& gate_;
  FrameSender sender_;
  std::string workspace_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SESSION_H_

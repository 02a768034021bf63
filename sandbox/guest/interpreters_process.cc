#include "sandbox/guest/interpreters_process.h"

#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/status_macros.h"
#include "sandbox/guest/further_interpreter.h"
#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/memory_account.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/shared/offers.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

constexpr size_t kDescriptorCount = 3;
// How often what runs in an interpreter that is to end is interrupted.
constexpr int kEndingMilliseconds = 20;
// Threads that allocate at the same time; the zygote's single one would make them wait for each
// other.
constexpr int kMallocArenas = 8;

// The variables the process was started with.
std::vector<std::string> Environment() {
  std::vector<std::string> variables;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) variables.emplace_back(*one);
  return variables;
}

absl::Status SetUp(const internal::v1::ServeInterpreters& request) {
  if (PY_VERSION_HEX < 0x030E0000) {
    return absl::UnimplementedError(
        "interpreters that share a process are not safe in CPython 3.13; profile `process` is");
  }
  mallopt(M_ARENA_MAX, kMallocArenas);
  CountMemory();
  (void)Offers::OfProcess().Enable();
  CLOISTER_RETURN_IF_ERROR(InstallInterruptSignal());
  return ApplyProgramRlimits(request.limits());
}

// Thread-safety: the process's first thread but for Answer.
class InterpretersProcess {
 public:
  explicit InterpretersProcess(int channel) : channel_(channel), environment_(Environment()) {}

  // Until the channel ends.
  absl::Status Serve() {
    for (;;) {
      CLOISTER_RETURN_IF_ERROR(AwaitFrame());
      HostFrame frame;
      std::vector<UniqueFd> descriptors;
      CLOISTER_RETURN_IF_ERROR(ReadFrame(channel_, &frame, kMaxHostFrameBytes, &descriptors));
      CLOISTER_RETURN_IF_ERROR(Do(std::move(frame), std::move(descriptors)));
      RemoveEnded();
    }
  }

 private:
  void Answer(const GuestFrame& frame) {
    const std::lock_guard<std::mutex> lock(answer_mutex_);
    // Where the host is gone, so is all that is left to do.
    (void)WriteFrame(channel_, frame, kMaxGuestFrameBytes);
  }

  absl::Status AwaitFrame() {
    for (;;) {
      bool is_any_ending = false;
      for (const auto& [number, interpreter] : interpreters_) {
        if (!interpreter->IsEnding()) continue;
        interpreter->Interrupt();
        is_any_ending = true;
      }
      pollfd polled[] = {{channel_, POLLIN, 0}, {Offers::OfProcess().descriptor(), POLLIN, 0}};
      if (poll(polled, 2, is_any_ending ? kEndingMilliseconds : -1) <= 0) continue;
      if (polled[0].revents != 0) return absl::OkStatus();
      (void)Offers::OfProcess().Serve();
    }
  }

  absl::Status Do(HostFrame frame, std::vector<UniqueFd> descriptors) {
    switch (frame.frame_case()) {
      case HostFrame::kCreateInterpreter:
        return Create(std::move(*frame.mutable_create_interpreter()), std::move(descriptors));
      case HostFrame::kInterruptInterpreter:
        Interrupt(frame.interrupt_interpreter().interpreter());
        return absl::OkStatus();
      case HostFrame::kEndInterpreter:
        End(frame.end_interpreter().interpreter());
        return absl::OkStatus();
      default:
        return absl::DataLossError("a frame that is not about interpreters");
    }
  }

  absl::Status Create(internal::v1::CreateInterpreter request, std::vector<UniqueFd> descriptors) {
    if (descriptors.size() != kDescriptorCount) {
      return absl::DataLossError("an interpreter without its descriptors");
    }
    const int64_t number = request.interpreter();
    absl::StatusOr<InterpreterConfig> config = InterpreterConfig::Of(request.profile());
    absl::Status status = config.status();
    if (interpreters_.contains(number)) {
      status = absl::AlreadyExistsError("there is an interpreter with this number");
    }
    if (status.ok()) {
      auto interpreter = std::make_unique<FurtherInterpreter>(
          *config, std::move(request),
          InterpreterEnds{std::move(descriptors[0]), std::move(descriptors[1]),
                          std::move(descriptors[2])},
          &environment_, [this](const GuestFrame& answer) { Answer(answer); });
      status = interpreter->Start();
      if (status.ok()) interpreters_[number] = std::move(interpreter);
    }
    if (!status.ok()) {
      GuestFrame failed;
      failed.mutable_interpreter_failed()->set_interpreter(number);
      failed.mutable_interpreter_failed()->set_message(std::string(status.message()));
      Answer(failed);
    }
    return absl::OkStatus();
  }

  void Interrupt(int64_t number) {
    const auto found = interpreters_.find(number);
    if (found != interpreters_.end()) found->second->Interrupt();
    GuestFrame answer;
    answer.mutable_interpreter_interrupted()->set_interpreter(number);
    Answer(answer);
  }

  void End(int64_t number) {
    const auto found = interpreters_.find(number);
    // Of one that is not there the host has been told, or is about to hear, that it failed.
    if (found != interpreters_.end()) found->second->End();
  }

  void RemoveEnded() {
    std::erase_if(interpreters_, [](const auto& entry) { return entry.second->IsOver(); });
  }

  const int channel_;
  const std::vector<std::string> environment_;
  std::mutex answer_mutex_;
  std::map<int64_t, std::unique_ptr<FurtherInterpreter>> interpreters_;
};

}  // namespace

int ServeInterpreters(int channel, const internal::v1::ServeInterpreters& request) {
  GuestFrame reply;
  const absl::Status status = SetUp(request);
  if (status.ok()) {
    reply.mutable_session_opened();
  } else {
    reply.mutable_setup_failed()->set_stage("interpreters");
    reply.mutable_setup_failed()->set_message(std::string(status.message()));
  }
  if (!WriteFrame(channel, reply, kMaxGuestFrameBytes).ok()) return EXIT_FAILURE;
  // Never freed: its threads use it until the process ends.
  auto& process = *new InterpretersProcess(channel);
  PyEval_SaveThread();
  const absl::Status end = process.Serve();
  // Not by exit(), nor with the GIL again: interpreters may be in the middle of anything.
  _exit(absl::IsOutOfRange(end) ? EXIT_SUCCESS : EXIT_FAILURE);
}

}  // namespace cloister::sandbox

// One interpreter beside main: a thread of its own that makes it, serves a session in it, and ends
// it.

#ifndef CLOISTER_SANDBOX_GUEST_FURTHER_INTERPRETER_H_
#define CLOISTER_SANDBOX_GUEST_FURTHER_INTERPRETER_H_

#include <pthread.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/interpreter_config.h"
#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/memory_account.h"
#include "sandbox/guest/session.h"

namespace cloister::sandbox {

// What comes with CreateInterpreter.
struct InterpreterEnds {
  UniqueFd channel;
  UniqueFd output;
  UniqueFd error;
};

// Thread-safety: the process's first thread, without a GIL. Ownership: destroyed when IsOver says
// so, which waits for the thread's last instructions.
class FurtherInterpreter {
 public:
  // Sends a frame on the process's own channel. From any thread, without a GIL.
  using Answer = std::function<void(const internal::v1::GuestFrame&)>;

  // `environment`: "NAME=value" of what it starts with.
  FurtherInterpreter(InterpreterConfig config, internal::v1::CreateInterpreter request,
                     InterpreterEnds ends, const std::vector<std::string>* environment,
                     Answer answer);
  FurtherInterpreter(const FurtherInterpreter&) = delete;
  FurtherInterpreter& operator=(const FurtherInterpreter&) = delete;
  ~FurtherInterpreter();

  // Starts its thread, which answers InterpreterCreated or InterpreterFailed. Once.
  absl::Status Start();

  // What its session runs gets KeyboardInterrupt; nothing where it runs nothing.
  void Interrupt();

  // Ends it, and answers InterpreterEnded when that is done, or at once where it is already. Once.
  void End();

  // Whether End was called and nothing is answered yet: Interrupt is to be repeated meanwhile.
  bool IsEnding() const;

  // Ended, and the host knows.
  bool IsOver() const;

 private:
  static void* ThreadMain(void* self);
  void Run();

  // With an interpreter that is current: all of its life until only CPython's own end is left.
  void Live();
  // False where there is no session to serve; the host knows why.
  bool Open(Session* session, StandardStreams* streams, ProgramRunner* runner, Notebook* notebook);
  void Serve(Session* session);
  // Ends its other threads, calls exit functions, lets go of what the user's code made.
  void EndUserCode(ProgramRunner* runner);

  void SetGate(ThreadGate* gate);
  bool MustEnd() const;
  void FillMemory(internal::v1::InterpreterMemory* memory) const;
  void AnswerFailed(absl::string_view message);
  void AnswerEnded();

  const InterpreterConfig config_;
  internal::v1::CreateInterpreter request_;
  InterpreterEnds ends_;
  const std::vector<std::string>& environment_;
  const Answer answer_;
  MemoryAccount& account_;  // never freed
  pthread_t thread_ = {};
  bool is_started_ = false;

  // Of the standard library: see FrameSender. Guards the rest.
  mutable std::mutex mutex_;
  ThreadGate* gate_ = nullptr;  // while there is one
  bool is_end_asked_ = false;
  bool has_ended_ = false;
  bool is_end_answered_ = false;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_FURTHER_INTERPRETER_H_

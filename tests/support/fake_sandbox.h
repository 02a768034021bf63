// Sandboxes and zygotes that exist in the test's imagination only: it says what they do and when.
// For unit tests of service/; never linked into a product.

#ifndef CLOISTER_TESTS_SUPPORT_FAKE_SANDBOX_H_
#define CLOISTER_TESTS_SUPPORT_FAKE_SANDBOX_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "tests/support/fake_interpreter.h"
#include "tests/support/fake_mailbox.h"

namespace cloister::testing {

class FakeSandboxFactory;

// Records what it is told; does nothing unless the test makes it.
class FakeSandbox final : public sandbox::Sandbox {
 public:
  FakeSandbox(FakeSandboxFactory* factory, int64_t id, int64_t zygote_id)
      : factory_(factory), id_(id), zygote_id_(zygote_id) {}
  ~FakeSandbox() override;

  // What the guest does. Only after Run; Finish once. In a session state is preserved, unless `end`
  // says otherwise.
  void Write(std::string_view bytes, sandbox::OutputStream stream = sandbox::OutputStream::kStdout);
  void Finish(v1::Outcome::Kind kind = v1::Outcome::KIND_SUCCEEDED);
  void Finish(sandbox::ExecutionEnd end);

  int64_t zygote_id() const { return zygote_id_; }
  bool running() const { return observer_ != nullptr; }
  bool output_paused() const { return output_paused_; }
  int pause_count() const { return pause_count_; }
  const v1::Program& program() const { return program_.program; }
  const sandbox::GuestProgram& guest_program() const { return program_; }
  const sandbox::Limits& limits() const { return limits_; }
  const std::vector<absl::Duration>& interrupts() const { return interrupts_; }
  const std::vector<sandbox::StopReason>& stops() const { return stops_; }

  // What its session was opened with; none before.
  const std::optional<sandbox::SessionSpec>& session() const { return session_; }
  // Of the cell that was run last.
  const sandbox::CellSettings& cell() const { return cell_; }
  const std::vector<std::string>& inputs() const { return inputs_; }
  // What the guest of a session does beside cells.
  void SayOpened() { session_observer_->OnOpened(absl::OkStatus()); }
  void Lose(v1::Outcome::Kind kind);
  void SayLate(int64_t cell, const std::string& text);
  // Its further interpreters that exist, oldest first.
  const std::vector<FakeInterpreter*>& interpreters() const { return interpreters_; }
  size_t pending_interpreters() const { return pending_interpreters_.size(); }
  // Answers the wish for an interpreter that came first: as the factory says, or with this.
  void AnswerInterpreter(sandbox::CreatedInterpreter answer = {});
  void SayEvent(v1::ExecutionEvent event) { observer_->OnCellEvent(std::move(event)); }

  // What was asked to be copied last, until AnswerFork.
  const std::optional<sandbox::ForkSpec>& fork() const { return fork_; }
  // Copies as many as were asked for, or says why not.
  void AnswerFork(const absl::Status& status = absl::OkStatus());
  // Whether it is a copy that goes on.
  bool resumed() const { return resumed_; }

  FakeMailbox post;

  // sandbox::Sandbox
  int64_t id() const override { return id_; }
  sandbox::Mailbox& mailbox() override { return post; }
  void Fork(const sandbox::ForkSpec& spec, ForkCallback done) override {
    fork_ = spec;
    on_forked_ = std::move(done);
  }
  void ResumeSession(sandbox::SessionObserver* observer) override {
    session_.emplace();
    session_observer_ = observer;
    resumed_ = true;
  }
  void OpenSession(sandbox::SessionSpec spec, sandbox::SessionObserver* observer) override;
  void RunCell(sandbox::CellSettings settings, sandbox::GuestProgram program,
               const sandbox::Limits& limits, sandbox::ExecutionObserver* observer) override;
  // True for this request only.
  int64_t open_request = 0;
  bool SendInput(int64_t request, std::optional<std::string> text) override;
  // What was asked last, and who waits for the answer.
  sandbox::NotebookQuestion question;
  sandbox::NotebookCallback answer;
  void Ask(sandbox::NotebookQuestion asked, sandbox::NotebookCallback done) override {
    question = std::move(asked);
    answer = std::move(done);
  }
  // Their numbers are 1, 2 and so on.
  int64_t CreateInterpreter(sandbox::InterpreterSpec spec, sandbox::SessionObserver* observer,
                            InterpreterCallback done) override;
  void AbandonInterpreter(int64_t number) override { abandoned_interpreters.push_back(number); }
  std::vector<int64_t> abandoned_interpreters;
  // Who serves its files, on a turn of the loop of its own; unset: nobody, and nothing is answered.
  std::function<absl::StatusOr<internal::v1::FileReply>(const internal::v1::FileRequest&)> on_file;
  // What was asked and not answered, oldest first.
  std::deque<std::pair<internal::v1::FileRequest, FileCallback>> file_requests;
  void AccessFiles(internal::v1::FileRequest request, FileCallback done) override;
  // Its channels with names, and what they may hold.
  std::map<std::string, uint32_t> channels;
  absl::StatusOr<sandbox::NamedChannel> OpenChannel(const std::string& name,
                                                    std::optional<uint32_t> capacity) override;
  absl::Status RemoveChannel(const std::string& name) override {
    return channels.erase(name) > 0 ? absl::OkStatus() : absl::NotFoundError("no such channel");
  }
  void Run(sandbox::GuestProgram program, const sandbox::Limits& limits,
           sandbox::ExecutionObserver* observer) override;
  void Interrupt(absl::Duration grace) override { interrupts_.push_back(grace); }
  // The end follows with INTERRUPTED, as the interface promises.
  void Stop(sandbox::StopReason reason) override;
  void PauseOutput() override;
  void ResumeOutput() override { output_paused_ = false; }

 private:
  FakeSandboxFactory* const factory_;
  const int64_t id_;
  const int64_t zygote_id_;
  sandbox::GuestProgram program_;
  sandbox::Limits limits_;
  std::optional<sandbox::SessionSpec> session_;
  sandbox::SessionObserver* session_observer_ = nullptr;
  std::optional<sandbox::ForkSpec> fork_;
  ForkCallback on_forked_;
  bool resumed_ = false;
  sandbox::CellSettings cell_;
  std::vector<std::string> inputs_;
  sandbox::ExecutionObserver* observer_ = nullptr;
  struct PendingInterpreter {
    sandbox::InterpreterSpec spec;
    sandbox::SessionObserver* observer;
    InterpreterCallback done;
  };
  std::deque<PendingInterpreter> pending_interpreters_;
  int64_t last_interpreter_ = 0;
  std::vector<FakeInterpreter*> interpreters_;
  std::vector<FakeInterpreter*> made_;  // ever
  std::vector<absl::Duration> interrupts_;
  std::vector<sandbox::StopReason> stops_;
  bool output_paused_ = false;
  int pause_count_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

// Answers at once (on the next turn of the loop), later, with an error, or when the test says so.
//
// Ownership: must outlive its sandboxes; the loop must outlive it.
class FakeSandboxFactory final : public sandbox::SandboxFactory {
 public:
  explicit FakeSandboxFactory(sandbox::Loop* loop) : loop_(loop) {}

  // ---- How it behaves; may be changed at any time for what comes next.

  // Not OK: starting a zygote fails so.
  absl::Status zygote_error;
  // False: zygotes become ready by AnswerZygote only.
  bool answer_zygotes = true;
  // Not OK: making a sandbox fails so.
  absl::Status sandbox_error;
  // False: sandboxes become ready by AnswerSandbox only.
  bool answer_sandboxes = true;
  absl::Duration create_time = absl::ZeroDuration();
  // False: what is destroyed is not reported gone before ReportGone.
  bool report_gone = true;
  // Reported of every sandbox that goes.
  int64_t peak_memory_bytes = 0;
  // Not OK: opening a session fails so.
  absl::Status session_error;
  // False: sessions are opened by FakeSandbox::SayOpened only.
  bool answer_sessions = true;
  // False: further interpreters are made by FakeSandbox::AnswerInterpreter only.
  bool answer_interpreters = true;
  // Called at the end of every Sandbox::Run and RunCell, if set.
  std::function<void(FakeSandbox&)> on_run;

  // ---- What the test makes happen.

  void AnswerZygote();   // the one asked for first
  void AnswerSandbox();  // the one asked for first
  void KillZygote(int64_t zygote_id, const std::string& reason);
  void CloneForOthers(int64_t zygote_id) { last_clones_[zygote_id] = loop_->Now(); }
  void LoseIdleSandbox(int64_t sandbox_id);
  void ReportGone();  // all that were destroyed
  void LoseSpawner(const std::string& reason);

  // ---- What was asked of it.

  const std::vector<int64_t>& zygotes() const { return zygotes_; }  // ever started
  const std::vector<int64_t>& stopped_zygotes() const { return stopped_; }
  int64_t created_count() const { return created_count_; }  // sandboxes ever ready
  int64_t destroyed_count() const { return destroyed_count_; }
  int64_t requested_count() const { return requested_count_; }
  size_t pending_sandboxes() const { return pending_sandboxes_.size(); }
  // Objects that exist, by id.
  const std::map<int64_t, FakeSandbox*>& live() const { return live_; }
  // The ones that run a program, oldest first.
  std::vector<FakeSandbox*> running() const;

  // sandbox::SandboxFactory
  const internal::v1::Facilities& facilities() const override { return facilities_; }
  void SetObserver(sandbox::SandboxFactoryObserver* observer) override { observer_ = observer; }
  int64_t StartZygote(const internal::v1::ZygoteSpec& spec, ZygoteCallback done) override;
  void StopZygote(int64_t zygote_id) override { stopped_.push_back(zygote_id); }
  void AbortZygote(int64_t zygote_id) override { KillZygote(zygote_id, "killed"); }
  void CreateSandbox(int64_t zygote_id, SandboxCallback done) override;
  absl::Time LastClone(int64_t zygote_id) const override {
    const auto found = last_clones_.find(zygote_id);
    return found == last_clones_.end() ? absl::InfinitePast() : found->second;
  }

 private:
  friend class FakeSandbox;

  struct PendingSandbox {
    int64_t zygote_id;
    SandboxCallback done;
  };

  void Deliver(PendingSandbox pending);
  std::unique_ptr<FakeSandbox> Make(int64_t zygote_id);
  void OnDestroyed(int64_t sandbox_id);
  sandbox::Loop* loop() const { return loop_; }

  sandbox::Loop* const loop_;
  sandbox::SandboxFactoryObserver* observer_ = nullptr;
  internal::v1::Facilities facilities_;
  std::vector<int64_t> zygotes_;
  std::vector<int64_t> stopped_;
  std::deque<std::pair<int64_t, ZygoteCallback>> pending_zygotes_;
  std::deque<PendingSandbox> pending_sandboxes_;
  std::map<int64_t, FakeSandbox*> live_;
  std::map<int64_t, absl::Time> last_clones_;  // by zygote
  std::vector<int64_t> unreported_;
  int64_t last_id_ = 0;
  int64_t created_count_ = 0;
  int64_t requested_count_ = 0;
  int64_t destroyed_count_ = 0;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_SUPPORT_FAKE_SANDBOX_H_

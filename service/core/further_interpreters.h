// The further interpreters of one live sandbox: makes them beside `main`, finds them, gives them a new
// start, and ends them.
//
// Thread-safety: loop thread only.
// Ownership: of the live sandbox, which is the `owner` and ends them before it goes.

#ifndef CLOISTER_SERVICE_CORE_FURTHER_INTERPRETERS_H_
#define CLOISTER_SERVICE_CORE_FURTHER_INTERPRETERS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/error_reason.pb.h"
#include "cloister/v1/interpreter.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/core/live_interpreter.h"
#include "service/core/request_ids.h"

namespace cloister::core {

// What one is made from; enough to make it again.
struct FurtherInterpreterSpec {
  // The last part of its name.
  std::string id;
  // UNSPECIFIED: ISOLATED where that works, else PROCESS.
  v1::Interpreter::Profile profile = v1::Interpreter::PROFILE_UNSPECIFIED;
  // 0: its sandbox's limit alone.
  int64_t memory_bytes = 0;
  // Besides the sandbox's.
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> imports;
  // Of the request that makes it, as long as it lives; both empty without one.
  std::string request_id;
  RequestIds::Hold request = nullptr;
};

// Why a sandbox or an interpreter was lost, now.
v1::Loss MakeLoss(v1::Outcome::Kind cause, const std::string& detail, const std::string& execution);
// SANDBOX_LOST or INTERPRETER_LOST.
absl::Status LostError(v1::ErrorReason reason, const v1::Loss& loss);

class FurtherInterpreters {
 public:
  struct Context {
    LiveInterpreter::Context interpreter;
    std::string sandbox_name;
    std::vector<std::pair<std::string, std::string>> environment;
    std::function<std::string()> python_version;
    int maximum_count;  // `main` among them
  };
  using StartCallback = std::function<void(const absl::Status&)>;
  // With the names of others that were lost with it.
  using EndCallback = std::function<void(std::vector<std::string> lost)>;

  explicit FurtherInterpreters(Context context) : context_(std::move(context)) {}
  ~FurtherInterpreters();
  FurtherInterpreters(const FurtherInterpreters&) = delete;
  FurtherInterpreters& operator=(const FurtherInterpreters&) = delete;

  // `main` as it is now; while it is null, what is to be made waits.
  void SetHome(std::shared_ptr<Incarnation> home);

  // `done` follows, never inline, once: with an error where it is gone again. Errors, at once or
  // through `done`: as CreateInterpreter.
  absl::StatusOr<std::shared_ptr<LiveInterpreter>> Create(FurtherInterpreterSpec spec,
                                                          absl::Time deadline, StartCallback done);
  // Another one who wants to know of the one that the request with this id made; inline where it has
  // started. INTERPRETER_NOT_FOUND.
  absl::StatusOr<std::shared_ptr<LiveInterpreter>> AwaitStart(const std::string& id,
                                                              const std::string& request_id,
                                                              StartCallback done);
  // One who waits for the creation has gone; the last one takes it along, if it is not ready.
  void AbandonStart(const LiveInterpreter& interpreter);

  // Errors, of all that take an id: INTERPRETER_NOT_FOUND.
  absl::StatusOr<std::shared_ptr<LiveInterpreter>> Find(const std::string& id) const;
  absl::StatusOr<v1::Interpreter> Get(const std::string& id) const;
  // Oldest first.
  std::vector<v1::Interpreter> List() const;
  // `done` follows, once. After an error it is LOST.
  absl::Status Restart(const std::string& id, absl::Time deadline, StartCallback done);
  // `done` follows, once.
  absl::Status Delete(const std::string& id, EndCallback done);

  // One of them ended by itself.
  void Lose(LiveInterpreter& interpreter, v1::Outcome::Kind cause, const std::string& detail);
  // The sandbox was lost: they stay, LOST as well.
  void LoseAll(const v1::Loss& loss, const absl::Status& why);
  // The sandbox ends, or starts anew: they are no more.
  void EndAll(sandbox::StopReason reason, const absl::Status& why);

  // FORK_REFUSED while there are any.
  absl::Status CheckNone() const;

 private:
  struct Entry {
    FurtherInterpreterSpec spec;
    std::shared_ptr<LiveInterpreter> live;
    bool is_choice_ours = false;
    std::string profile_reason;
    google::protobuf::Timestamp create_time;
    int restart_count = 0;
    bool has_started = false;     // ever
    bool waits_for_home = false;  // is to be made
    uint64_t attempt = 0;         // to make it, under way; 0 for none
    int64_t made_as = 0;          // the attempt's number at the sandbox
    absl::Time start_requested;
    std::vector<StartCallback> callbacks;
    int waiting = 0;  // callers of Create
    sandbox::Loop::TimerId timer = 0;
  };
  using EntryPtr = std::shared_ptr<Entry>;
  // One that was told to end and has not yet.
  struct Ending {
    std::shared_ptr<Incarnation> incarnation;
    std::string name;
    // Others in its process.
    std::vector<std::pair<std::weak_ptr<Entry>, std::weak_ptr<Incarnation>>> neighbours;
    EndCallback done;
  };

  EntryPtr FindEntry(const std::string& id) const;
  EntryPtr EntryOf(const LiveInterpreter& interpreter) const;
  absl::Status NotFoundError(const std::string& id) const;
  absl::Status CheckRoomFor(const std::string& id) const;
  absl::Status ChooseProfile(Entry& entry) const;
  v1::Interpreter ToProto(const Entry& entry) const;

  void BeginStart(const EntryPtr& entry, absl::Time deadline, StartCallback done);
  void Make(const EntryPtr& entry);
  // Nobody wants what the attempt makes any more; it counts until the sandbox has answered.
  void Abandon(Entry& entry);
  void OnMade(uint64_t attempt, sandbox::CreatedInterpreter made,
              const std::shared_ptr<Incarnation>& incarnation);
  void OnNotMade(const EntryPtr& entry, const sandbox::CreatedInterpreter& made);
  absl::Status ErrorOf(const Entry& entry, const sandbox::CreatedInterpreter& made) const;
  void FinishStart(const EntryPtr& entry, const absl::Status& status);
  void Remove(const EntryPtr& entry);

  void BeginEnd(const Entry& entry, std::shared_ptr<Incarnation> incarnation, EndCallback done);
  // Where an earlier start of it is still ending.
  void AwaitEnd(const std::string& name, EndCallback done);
  void FinishEnd(uint64_t number, const absl::Status& status);
  void FinishAllEnds();
  std::vector<std::string> LoseNeighbours(const Ending& ending);

  sandbox::Loop* loop() const { return context_.interpreter.loop; }
  ServiceObserver* observer() const { return context_.interpreter.observer; }

  const Context context_;
  std::shared_ptr<Incarnation> home_;
  std::vector<EntryPtr> entries_;  // oldest first
  std::map<uint64_t, Ending> ending_;
  std::set<uint64_t> orphans_;  // attempts whose interpreter nobody wants any more
  uint64_t last_number_ = 0;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FURTHER_INTERPRETERS_H_

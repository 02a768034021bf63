// Whose turn it is to start an interpreter that code has asked for: one at a time for each sandbox, since all starts of
// all sandboxes go through one spawner.
//
// Thread-safety: loop thread only.
// Ownership: outlives what it has begun.

#ifndef CLOISTER_SERVICE_CORE_SPAWN_TURNS_H_
#define CLOISTER_SERVICE_CORE_SPAWN_TURNS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

namespace cloister::core {

class SpawnTurns {
 public:
  using AbandonFunction = std::function<void()>;
  // Begins a start; `over` is to be called once when it has ended, however, perhaps inline. What is returned may be null.
  using BeginFunction = std::function<AbandonFunction(std::function<void()> over)>;

  // Behind one that is under way.
  static constexpr size_t kMaximumWaiting = 64;

  SpawnTurns() = default;
  SpawnTurns(const SpawnTurns&) = delete;
  SpawnTurns& operator=(const SpawnTurns&) = delete;

  // Calls `begin`, inline or when it is its turn. Null where too many wait: then it never does. Otherwise what takes it back.
  AbandonFunction Enter(const std::string& sandbox, BeginFunction begin);

 private:
  struct Waiting {
    int64_t number = 0;
    BeginFunction begin;
  };
  struct Line {
    int64_t under_way = 0;  // its number; 0 for none
    bool is_beginning = false;
    AbandonFunction abandon;
    std::deque<Waiting> waiting;
  };

  void Advance(const std::string& sandbox);
  void OnOver(const std::string& sandbox, int64_t number);
  void Abandon(const std::string& sandbox, int64_t number);

  std::map<std::string, Line> lines_;
  int64_t last_number_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_SPAWN_TURNS_H_

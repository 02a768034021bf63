#include "service/core/spawn_turns.h"

#include <utility>

namespace cloister::core {

SpawnTurns::AbandonFunction SpawnTurns::Enter(const std::string& sandbox, BeginFunction begin) {
  Line& line = lines_[sandbox];
  if (line.waiting.size() >= kMaximumWaiting) return nullptr;
  const int64_t number = ++last_number_;
  line.waiting.push_back({number, std::move(begin)});
  Advance(sandbox);
  return [this, sandbox, number] { Abandon(sandbox, number); };
}

void SpawnTurns::Advance(const std::string& sandbox) {
  // What is begun may be over at once, or ask for more.
  if (lines_[sandbox].is_beginning) return;
  for (;;) {
    Line& line = lines_[sandbox];
    if (line.under_way != 0) return;
    if (line.waiting.empty()) break;
    Waiting next = std::move(line.waiting.front());
    line.waiting.pop_front();
    line.under_way = next.number;
    line.is_beginning = true;
    AbandonFunction abandon =
        next.begin([this, sandbox, number = next.number] { OnOver(sandbox, number); });
    line.is_beginning = false;
    if (line.under_way == next.number) line.abandon = std::move(abandon);
  }
  lines_.erase(sandbox);
}

void SpawnTurns::OnOver(const std::string& sandbox, int64_t number) {
  const auto found = lines_.find(sandbox);
  if (found == lines_.end() || found->second.under_way != number) return;
  found->second.under_way = 0;
  found->second.abandon = nullptr;
  Advance(sandbox);
}

void SpawnTurns::Abandon(const std::string& sandbox, int64_t number) {
  const auto found = lines_.find(sandbox);
  if (found == lines_.end()) return;
  Line& line = found->second;
  if (line.under_way != number) {
    std::erase_if(line.waiting, [number](const Waiting& one) { return one.number == number; });
    return;
  }
  // It is over when whoever makes it says so.
  if (const AbandonFunction abandon = std::exchange(line.abandon, nullptr)) abandon();
}

}  // namespace cloister::core

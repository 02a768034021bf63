#include "service/core/file_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::shared_ptr<FileUse>> FileManager::Call(const std::string& sandbox,
                                                           internal::v1::FileRequest request,
                                                           FileUse::Callback done) {
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<FileUse> use, Use(sandbox, false));
  use->Ask(std::move(request), std::move(done));
  return use;
}

absl::StatusOr<std::shared_ptr<FileUse>> FileManager::Use(const std::string& sandbox,
                                                          bool is_stream) {
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckNotDraining());  // it drains
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<LiveSandbox> live, sandboxes_->Find(sandbox));
  Counts& counts = by_sandbox_[sandbox];
  if (absl::Status room = CheckRoom(counts, is_stream); !room.ok()) {
    if (counts.streams + counts.calls == 0) by_sandbox_.erase(sandbox);
    return room;
  }
  (is_stream ? counts.streams : counts.calls) += 1;
  *(is_stream ? options_.server_streams : options_.server_calls) += 1;
  std::shared_ptr<FileUse> use(new FileUse(this, live, ++last_handle_, is_stream));
  live->AwaitFiles([weak = std::weak_ptr<FileUse>(use)](const absl::Status& started) {
    if (const auto waiting = weak.lock()) waiting->Enter(started);
  });
  return use;
}

absl::Status FileManager::CheckRoom(const Counts& counts, bool is_stream) const {
  const int of_sandbox = is_stream ? counts.streams : counts.calls;
  const int of_all = *(is_stream ? options_.server_streams : options_.server_calls);
  const int most_of_sandbox = is_stream ? options_.streams_per_sandbox : options_.calls_per_sandbox;
  const int most_of_all = is_stream ? options_.maximum_streams : options_.maximum_calls;
  if (of_sandbox < most_of_sandbox && of_all < most_of_all) return absl::OkStatus();
  const bool is_sandbox = of_sandbox >= most_of_sandbox;
  return WithRetryDelay(
      MakeError(v1::ERROR_REASON_OVERLOADED,
                absl::StrCat("as many ", is_stream ? "streams" : "calls", " as there may be (",
                             is_sandbox ? most_of_sandbox : most_of_all, ") use the files of ",
                             is_sandbox ? "this sandbox" : "this server's sandboxes")),
      kRetryDelay);
}

void FileManager::OnUseEnded(const std::string& sandbox, bool is_stream) {
  *(is_stream ? options_.server_streams : options_.server_calls) -= 1;
  const auto found = by_sandbox_.find(sandbox);
  Counts& counts = found->second;
  (is_stream ? counts.streams : counts.calls) -= 1;
  if (counts.streams + counts.calls == 0) by_sandbox_.erase(found);
}

}  // namespace cloister::core

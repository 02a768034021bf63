#include "sandbox/host/spawner_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/host/host_sandbox.h"
#include "sandbox/host/member_process.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {

using internal::v1::SpawnerEvent;
using internal::v1::SpawnerRequest;

namespace {

// For a caller that wants a `Wanted` of what was made, a `Made`.
template <typename Wanted, typename Made>
auto Handing(std::function<void(absl::StatusOr<std::unique_ptr<Wanted>>)> done) {
  return [done = std::move(done)](absl::StatusOr<std::unique_ptr<SpawnedProcess>> process) {
    if (!process.ok()) return done(process.status());
    done(std::unique_ptr<Wanted>(static_cast<Made*>(process->release())));
  };
}

}  // namespace

absl::Status SpawnerClient::SpawnerLostError() {
  return absl::UnavailableError("the spawner is gone; restart the server");
}

absl::StatusOr<std::unique_ptr<SpawnerClient>> SpawnerClient::Connect(AsioLoop* loop,
                                                                      UniqueFd socket,
                                                                      absl::Duration timeout) {
  pollfd readable{socket.get(), POLLIN, 0};
  const int answer = ::poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  if (answer < 0) return SyscallError("wait for the spawner");
  if (answer == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("the spawner did not become ready within ", absl::FormatDuration(timeout)));
  }
  SpawnerEvent event;
  absl::Status received = ReceivePacket(socket.get(), &event, nullptr);
  if (absl::IsOutOfRange(received)) {
    return absl::UnavailableError("the spawner ended while it started; its messages above say why");
  }
  CLOISTER_RETURN_IF_ERROR(received);
  if (!event.has_spawner_ready()) {
    return absl::InternalError("the spawner's first message is not SpawnerReady");
  }
  std::unique_ptr<SpawnerClient> client(
      new SpawnerClient(loop, std::move(socket), std::move(*event.mutable_spawner_ready())));
  CLOISTER_RETURN_IF_ERROR(client->socket_.Open());
  client->socket_.WaitReadable([raw = client.get()] { raw->ReceiveEvents(); });
  return client;
}

SpawnerClient::SpawnerClient(AsioLoop* loop, UniqueFd socket, internal::v1::SpawnerReady ready)
    : loop_(loop), socket_(loop, std::move(socket)), ready_(std::move(ready)) {}

SpawnerClient::~SpawnerClient() {
  // Those still in the making are ours; their ends need no reports.
  observer_ = nullptr;
  for (auto& [id, entry] : sandboxes_) {
    loop_->Cancel(entry.ready_timer);
    entry.preparing.reset();
  }
}

// ---- requests -----------------------------------------------------------------------------------

void SpawnerClient::Send(SpawnerRequest request) {
  if (lost_) return;
  requests_.push_back(std::move(request));
  if (requests_.size() == 1) FlushRequests();
}

void SpawnerClient::FlushRequests() {
  while (!requests_.empty() && !lost_) {
    absl::Status status = SendPacket(socket_.fd(), requests_.front(), {}, MSG_DONTWAIT);
    if (absl::IsUnavailable(status)) return socket_.WaitWritable([this] { FlushRequests(); });
    // The end of the socket is seen, and handled, where events are received.
    if (!status.ok() && !absl::IsOutOfRange(status)) {
      std::fprintf(stderr, "cloister: %s\n", status.ToString().c_str());
    }
    requests_.pop_front();
  }
}

int64_t SpawnerClient::StartZygote(const internal::v1::ZygoteSpec& spec, ZygoteCallback done) {
  const int64_t id = next_id_++;
  if (lost_) {
    loop_->Post([done = std::move(done)] { done(SpawnerLostError()); });
    return id;
  }
  zygotes_[id] = Zygote{spec, std::move(done)};
  SpawnerRequest request;
  request.mutable_start_zygote()->set_zygote_id(id);
  *request.mutable_start_zygote()->mutable_spec() = spec;
  Send(std::move(request));
  return id;
}

void SpawnerClient::StopZygote(int64_t zygote_id) {
  SpawnerRequest request;
  request.mutable_stop_zygote()->set_zygote_id(zygote_id);
  Send(std::move(request));
}

void SpawnerClient::AbortZygote(int64_t zygote_id) {
  SpawnerRequest request;
  request.mutable_stop_zygote()->set_zygote_id(zygote_id);
  request.mutable_stop_zygote()->set_kill(true);
  Send(std::move(request));
}

void SpawnerClient::CreateSandbox(int64_t zygote_id, SandboxCallback done) {
  const auto zygote = zygotes_.find(zygote_id);
  const bool started = zygote != zygotes_.end() && zygote->second.done == nullptr;
  if (lost_ || !started) {
    absl::Status status =
        lost_ ? SpawnerLostError()
              : absl::NotFoundError(absl::StrCat("no zygote ", zygote_id, " that can be cloned"));
    return loop_->Post([done = std::move(done), status = std::move(status)] { done(status); });
  }
  const int64_t id = next_id_++;
  Expect(id, zygote_id, kReadyTimeout, Handing<Sandbox, HostSandbox>(std::move(done)));
  SpawnerRequest request;
  request.mutable_create_sandbox()->set_sandbox_id(id);
  request.mutable_create_sandbox()->set_zygote_id(zygote_id);
  Send(std::move(request));
}

SpawnerClient::Entry& SpawnerClient::Expect(int64_t sandbox_id, int64_t zygote_id,
                                            absl::Duration timeout, Done done) {
  Entry& entry = sandboxes_[sandbox_id];
  entry.zygote_id = zygote_id;
  entry.done = std::move(done);
  entry.ready_timer = loop_->CallAfter(timeout, [this, sandbox_id, timeout] {
    Kill(sandbox_id);
    FailSandbox(sandbox_id, absl::DeadlineExceededError(absl::StrCat(
                                "it was not ready within ", absl::FormatDuration(timeout))));
  });
  return entry;
}

void SpawnerClient::Copy(CopyOrder order, CopyCallback done) {
  const auto parent = sandboxes_.find(order.request.parent_id());
  const auto zygote =
      parent == sandboxes_.end() ? zygotes_.end() : zygotes_.find(parent->second.zygote_id);
  if (lost_ || zygote == zygotes_.end()) {
    absl::Status status = lost_ ? SpawnerLostError()
                                : absl::UnavailableError("the sandbox to copy has ended");
    return loop_->Post([done = std::move(done), status = std::move(status)] { done(status); });
  }
  if (zygote->second.copies >= kCopiesAtOnce) {
    zygote->second.waiting_copies.emplace_back(std::move(order), std::move(done));
    return;
  }
  ++zygote->second.copies;
  const int64_t id = next_id_++;
  order.request.set_sandbox_id(id);
  SpawnerRequest request;
  *request.mutable_fork_sandbox() = order.request;
  Expect(id, parent->second.zygote_id, kCopyTimeout,
         Handing<Sandbox, HostSandbox>(std::move(done)))
      .copy = std::move(order);
  Send(std::move(request));
}

void SpawnerClient::OnCopyAnswered(int64_t zygote_id) {
  const auto found = zygotes_.find(zygote_id);
  if (found == zygotes_.end()) return;
  Zygote& zygote = found->second;
  --zygote.copies;
  // More than one where the parents of the first have ended.
  while (!zygote.waiting_copies.empty() && zygote.copies < kCopiesAtOnce) {
    auto [order, done] = std::move(zygote.waiting_copies.front());
    zygote.waiting_copies.pop_front();
    Copy(std::move(order), std::move(done));
  }
}

void SpawnerClient::FailWaitingCopies(Zygote& zygote, const absl::Status& status) {
  for (auto& [order, done] : std::exchange(zygote.waiting_copies, {})) {
    loop_->Post([done = std::move(done), status] { done(status); });
  }
}

absl::Time SpawnerClient::LastClone(int64_t zygote_id) const {
  const auto zygote = zygotes_.find(zygote_id);
  return zygote == zygotes_.end() ? absl::InfinitePast() : zygote->second.last_clone;
}

void SpawnerClient::AddProcess(int64_t sandbox_id, ProcessCallback done) {
  const auto home = sandboxes_.find(sandbox_id);
  if (lost_ || home == sandboxes_.end()) {
    absl::Status status =
        lost_ ? SpawnerLostError() : absl::UnavailableError("the sandbox has ended");
    return loop_->Post([done = std::move(done), status = std::move(status)] { done(status); });
  }
  const int64_t id = next_id_++;
  SpawnerRequest request;
  request.mutable_add_process()->set_sandbox_id(sandbox_id);
  request.mutable_add_process()->set_process_id(id);
  Expect(id, home->second.zygote_id, kReadyTimeout,
         Handing<MemberProcess, MemberProcess>(std::move(done)))
      .is_member = true;
  Send(std::move(request));
}

void SpawnerClient::SendSignal(int64_t sandbox_id, int signal) {
  SpawnerRequest request;
  request.mutable_signal_sandbox()->set_sandbox_id(sandbox_id);
  request.mutable_signal_sandbox()->set_signal(signal);
  Send(std::move(request));
}

void SpawnerClient::Kill(int64_t sandbox_id) {
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry == sandboxes_.end() || std::exchange(entry->second.kill_sent, true)) return;
  SpawnerRequest request;
  request.mutable_kill_sandbox()->set_sandbox_id(sandbox_id);
  Send(std::move(request));
}

void SpawnerClient::SetLimits(const internal::v1::SetSandboxLimits& limits) {
  SpawnerRequest request;
  *request.mutable_set_sandbox_limits() = limits;
  Send(std::move(request));
}

void SpawnerClient::OnIdleLost(int64_t sandbox_id) {
  if (observer_ != nullptr) observer_->OnIdleSandboxLost(sandbox_id);
}

void SpawnerClient::OnDestroyed(int64_t sandbox_id) {
  Kill(sandbox_id);
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry != sandboxes_.end()) entry->second.process = nullptr;
}

}  // namespace cloister::sandbox

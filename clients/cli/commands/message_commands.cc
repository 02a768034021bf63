#include "clients/cli/commands/message_commands.h"

#include <atomic>
#include <csignal>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/input_lines.h"
#include "clients/cli/commands/json_value.h"
#include "clients/cli/commands/local_command.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/signal_watcher.h"
#include "clients/cli/commands/units.h"
#include "clients/cli/commands/value_json.h"

namespace cloister::cli {
namespace {

using v1::ConnectRequest;
using v1::ConnectResponse;

std::string CallJson(const v1::HostCall& call) {
  nlohmann::ordered_json json = {{"arguments", nlohmann::ordered_json::array()},
                                 {"keyword_arguments", nlohmann::ordered_json::object()}};
  for (const v1::Value& value : call.arguments()) json["arguments"].push_back(JsonFromValue(value));
  for (const auto& [name, value] : call.keyword_arguments())
    json["keyword_arguments"][name] = JsonFromValue(value);
  return json.dump() + "\n";
}

// What the command said, as the answer to the call.
v1::HostCallResult ResultOf(int64_t number, const absl::StatusOr<LocalCommand::Result>& ran) {
  v1::HostCallResult result;
  result.set_number(number);
  const auto raise = [&result](std::string text) {
    result.mutable_exception()->set_text(std::move(text));
    return result;
  };
  if (!ran.ok()) return raise(std::string(ran.status().message()));
  if (ran->exit_code != 0) {
    const absl::string_view words = absl::StripAsciiWhitespace(ran->err);
    return raise(words.empty() ? absl::StrCat("the command ended with exit code ", ran->exit_code)
                               : std::string(words.substr(0, 4096)));
  }
  const absl::string_view text = absl::StripAsciiWhitespace(ran->out);
  if (text.empty()) {
    result.mutable_value()->set_singleton(v1::SINGLETON_NONE);
    return result;
  }
  absl::StatusOr<v1::Value> value = ValueFromJson(text);
  if (!value.ok()) return raise(absl::StrCat("the command's output: ", value.status().message()));
  *result.mutable_value() = *std::move(value);
  return result;
}

// What a post takes beside the bytes of its value (PostCredit).
constexpr int64_t kPostOverheadBytes = 128;

// What the server gives for posts. Thread-safety: safe.
class Credit {
 public:
  void Add(int64_t bytes) {
    const absl::MutexLock lock(&mutex_);
    bytes_ += bytes;
  }
  // Waits until there is some; false once it is over.
  bool Take(int64_t bytes) {
    const absl::MutexLock lock(&mutex_);
    const auto ready = [this]()
                           ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return is_over_ || bytes_ > 0; };
    mutex_.Await(absl::Condition(&ready));
    bytes_ -= bytes;
    return !is_over_;
  }
  void End() {
    const absl::MutexLock lock(&mutex_);
    is_over_ = true;
  }

 private:
  absl::Mutex mutex_;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_over_ ABSL_GUARDED_BY(mutex_) = false;
};

// One connection: a thread reads standard input, one more runs each call. Lines keep to the
// server's credit, so that what is written is read, and no answer waits behind them.
class Conversation {
 public:
  Conversation(const Server& server, std::map<std::string, std::string> offers,
               const ConnectOptions& options, OutputFds fds)
      : server_(server), offers_(std::move(offers)), options_(options), fds_(fds) {
    stream_ = server.messages->Connect(&context_);
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  int Run(const ConnectRequest& opening) {
    const SignalWatcher ctrl_c(SIGINT, [this] {
      is_interrupted_ = true;
      context_.TryCancel();
    });
    Send(opening);
    InputLines lines(
        [this](int number, const std::string& line) { return SendLine(number, line); });
    ConnectResponse response;
    int unwritten = kExitOk;
    while (unwritten == kExitOk && !is_done_ && stream_->Read(&response))
      unwritten = Take(response, &lines);
    if (unwritten != kExitOk || is_done_) context_.TryCancel();
    credit_.End();
    lines.Stop();
    EndCalls();
    while (stream_->Read(&response)) {
    }
    const grpc::Status status = stream_->Finish();
    if (unwritten != kExitOk) return unwritten;
    // Ctrl-C is the usual end.
    if (is_done_ || is_interrupted_) return kExitOk;
    return status.ok() ? kExitOk : Refused(server_, status, fds_);
  }

 private:
  struct Call {
    LocalCommand command;
    std::thread thread;
    std::atomic<bool> is_over = false;
  };

  bool Send(const ConnectRequest& request) {
    const absl::MutexLock lock(&write_mutex_);
    return stream_->Write(request);
  }

  // The exit code where the output cannot be written.
  int Take(const ConnectResponse& response, InputLines* lines) {
    switch (response.response_case()) {
      case ConnectResponse::kOpened:
        if (!options_.quiet) Complain(fds_.err, absl::StrCat("connected to ", options_.sandbox));
        credit_.Add(response.opened().post_credit_bytes());
        lines->Start();
        return kExitOk;
      case ConnectResponse::kMessage:
        if (!WriteAll(fds_.out, JsonFromValue(response.message()).dump() + "\n"))
          return OutputFailed(fds_);
        is_done_ = options_.count > 0 && ++messages_ >= options_.count;
        return kExitOk;
      case ConnectResponse::kPostCredit:
        credit_.Add(response.post_credit().bytes());
        return kExitOk;
      case ConnectResponse::kHostCall:
        Begin(response.host_call());
        return kExitOk;
      case ConnectResponse::kHostCallCancelled:
        if (const auto call = calls_.find(response.host_call_cancelled().number());
            call != calls_.end()) {
          call->second->command.Kill();
        }
        return kExitOk;
      default:
        return kExitOk;
    }
  }

  bool SendLine(int number, const std::string& line) {
    if (absl::StripAsciiWhitespace(line).empty()) return true;
    absl::StatusOr<v1::Value> value = ValueFromJson(line);
    if (!value.ok()) {
      Complain(fds_.err,
               absl::StrCat("line ", number, " was not sent: ", value.status().message()));
      return true;
    }
    ConnectRequest request;
    *request.mutable_post() = *std::move(value);
    const auto bytes = static_cast<int64_t>(request.post().ByteSizeLong());
    return credit_.Take(bytes + kPostOverheadBytes) && Send(request);
  }

  void Begin(const v1::HostCall& host_call) {
    std::erase_if(calls_, [](auto& entry) {
      if (!entry.second->is_over) return false;
      entry.second->thread.join();
      return true;
    });
    const auto offer = offers_.find(host_call.function());
    // No server of ours asks for another, or twice.
    if (offer == offers_.end() || calls_.contains(host_call.number())) return;
    Call& call = *(calls_[host_call.number()] = std::make_unique<Call>());
    call.thread = std::thread([this, &call, number = host_call.number(), command = offer->second,
                               input = CallJson(host_call)] {
      ConnectRequest request;
      *request.mutable_host_call_result() = ResultOf(number, call.command.Run(command, input));
      Send(request);
      call.is_over = true;
    });
  }

  void EndCalls() {
    for (auto& [number, call] : calls_) call->command.Kill();
    for (auto& [number, call] : calls_) call->thread.join();
  }

  const Server& server_;
  const std::map<std::string, std::string> offers_;
  const ConnectOptions& options_;
  const OutputFds fds_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriterInterface<ConnectRequest, ConnectResponse>> stream_;
  absl::Mutex write_mutex_;
  Credit credit_;
  std::map<int64_t, std::unique_ptr<Call>> calls_;
  int messages_ = 0;
  bool is_done_ = false;
  std::atomic<bool> is_interrupted_ = false;
};

absl::StatusOr<std::map<std::string, std::string>> OffersOf(const ConnectOptions& options) {
  std::map<std::string, std::string> offers;
  for (const std::string& offer : options.offers) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(offer, absl::MaxSplits('=', 1));
    if (parts.first.empty() || parts.second.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--offer ", offer, ": must be NAME=COMMAND"));
    }
    if (!offers.insert(parts).second) {
      return absl::InvalidArgumentError(absl::StrCat("--offer ", parts.first, ": is given twice"));
    }
  }
  return offers;
}

}  // namespace

int PostMessage(const Server& server, const std::string& sandbox, const std::string& value,
                OutputFds fds) {
  std::string text = value;
  if (value == "-") {
    // It may be typed.
    const SignalUnblocked ctrl_c(SIGINT);
    absl::StatusOr<std::string> input = ReadInput("-");
    if (!input.ok()) {
      Complain(fds.err, absl::StrCat("post: ", input.status().message()));
      return kExitInputOutput;
    }
    text = *std::move(input);
  }
  absl::StatusOr<v1::Value> parsed = ValueFromJson(text);
  if (!parsed.ok()) {
    Complain(fds.err, absl::StrCat("post: ", parsed.status().message()));
    return kExitUsage;
  }
  v1::PostMessageRequest request;
  request.set_interpreter(sandbox);
  *request.mutable_value() = *std::move(parsed);
  grpc::ClientContext context;
  v1::PostMessageResponse response;
  const grpc::Status status = server.messages->PostMessage(&context, request, &response);
  return status.ok() ? kExitOk : Refused(server, status, fds);
}

int ConnectMessages(const Server& server, const ConnectOptions& options, OutputFds fds) {
  absl::StatusOr<std::map<std::string, std::string>> offers = OffersOf(options);
  ConnectRequest opening;
  v1::OpenConnection& open = *opening.mutable_open();
  absl::Status problem = offers.status();
  if (problem.ok() && !options.timeout.empty()) {
    const absl::StatusOr<absl::Duration> timeout = ParseDuration(options.timeout);
    problem = timeout.status();
    if (timeout.ok()) *open.mutable_host_call_timeout() = ToProto(*timeout);
  }
  if (!problem.ok()) {
    Complain(fds.err, absl::StrCat("connect: ", problem.message()));
    return kExitUsage;
  }
  open.set_interpreter(options.sandbox);
  for (const auto& [name, command] : *offers) open.add_host_functions(name);
  open.set_maximum_host_calls(options.concurrency);
  return Conversation(server, *std::move(offers), options, fds).Run(opening);
}

}  // namespace cloister::cli

#include "sandbox/guest/session_copy.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/guest/late_output.h"
#include "sandbox/guest/messages/message_ends.h"
#include "sandbox/guest/open_files.h"
#include "sandbox/wire/frame.h"
#include "sandbox/zygote/fork_point.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

// With one that says how many more there are.
constexpr size_t kMaxObstacles = 15;
constexpr size_t kMaxObstacleBytes = 300;

// The names of Python's threads but the main one; empty where they cannot be had.
std::string ThreadNames() {
  PyRef threading = PyRef::Steal(PyImport_ImportModule("threading"));
  PyRef threads = PyRef::Steal(
      threading ? PyObject_CallMethod(threading.get(), "enumerate", nullptr) : nullptr);
  PyRef list = PyRef::Steal(threads ? PySequence_List(threads.get()) : nullptr);
  std::vector<std::string> names;
  for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(list.get()); ++i) {
    PyRef name = PyRef::Steal(PyObject_GetAttrString(PyList_GET_ITEM(list.get(), i), "name"));
    const char* text = name && PyUnicode_Check(name.get()) ? PyUnicode_AsUTF8(name.get()) : nullptr;
    if (text != nullptr && std::string_view(text) != "MainThread") names.emplace_back(text);
  }
  PyErr_Clear();
  return absl::StrJoin(names, ", ");
}

long ThreadCount() {
  struct stat tasks;
  if (stat("/proc/self/task", &tasks) != 0) return 1;
  return static_cast<long>(tasks.st_nlink) - 2;  // one directory each, beside . and ..
}

void FindThreads(std::vector<std::string>* obstacles) {
  const long count = ThreadCount();
  if (count <= 1) return;
  const std::string names = ThreadNames();
  obstacles->push_back(absl::StrCat(count - 1, count == 2 ? " thread is" : " threads are",
                                    " alive beside the main one",
                                    names.empty() ? "" : absl::StrCat(": ", names)));
}

void FindInterpreters(std::vector<std::string>* obstacles) {
  int count = 0;
  for (PyInterpreterState* one = PyInterpreterState_Head(); one != nullptr;
       one = PyInterpreterState_Next(one)) {
    ++count;
  }
  if (count > 1) {
    obstacles->push_back(absl::StrCat(count - 1, " further interpreters are alive"));
  }
}

void FindChildren(std::vector<std::string>* obstacles) {
  siginfo_t info = {};
  if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) == 0) {
    obstacles->push_back("child processes are alive, or have not been waited for");
  }
}

// As /proc/self/maps names the device of a directory's file system; empty where there is none.
std::string DeviceOf(const char* directory) {
  struct stat info;
  if (stat(directory, &info) != 0) return "";
  return absl::StrFormat("%02x:%02x", major(info.st_dev), minor(info.st_dev));
}

// Of which the copy would see the parent's writes, and the other way round.
void FindSharedMemory(std::vector<std::string>* obstacles) {
  const std::string writable[] = {DeviceOf("/workspace"), DeviceOf("/tmp")};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    // begin-end permissions offset device inode name
    const std::vector<absl::string_view> fields =
        absl::StrSplit(line, absl::MaxSplits(' ', 5), absl::SkipEmpty());
    if (fields.size() < 5) continue;
    const absl::string_view name = fields.size() > 5 ? absl::StripAsciiWhitespace(fields[5]) : "";
    absl::string_view own = name;
    const bool is_shared = fields[1].size() > 3 && fields[1][3] == 's';
    const bool is_writable =
        fields[3] == writable[0] || fields[3] == writable[1] || absl::StartsWith(name, "/memfd:");
    if (absl::ConsumePrefix(&own, "/memfd:cloister.")) {
      obstacles->push_back(absl::StrCat(
          "a cloister.", own.substr(0, own.find(' ')),
          " is open, which a copy would share with this one: close it, or drop it with `del`"));
    } else if (is_shared || is_writable) {
      obstacles->push_back(
          absl::StrCat("memory is mapped from ", name, " (an mmap or a numpy.memmap: close it)"));
    }
  }
}

// All of it, with nothing but system calls in between.
bool WriteAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t count = write(fd, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

// The parent, while it is copied. From the last byte it writes to the first it reads, copies may be
// made at any moment: until then it changes none of its memory but this function's own.
absl::Status WaitForCopies(int channel, const std::string& prepared) {
  char first = 0;
  if (!WriteAll(channel, prepared.data(), prepared.size())) {
    return absl::UnavailableError("the channel is closed");
  }
  ssize_t count;
  do {
    count = recv(channel, &first, 1, MSG_PEEK);
  } while (count < 0 && errno == EINTR);
  HostFrame frame;
  CLOISTER_RETURN_IF_ERROR(ReadFrame(channel, &frame, kMaxHostFrameBytes));
  return frame.has_resume_parent() ? absl::OkStatus()
                                   : absl::DataLossError("a frame other than ResumeParent");
}

// A copy, from its first instruction until it waits as its parent did.
absl::Status BeginCopy(Session* session, const OpenFiles& files, PyObject* renew) {
  GuestFrame frame;
  // Nothing comes before Ready, whatever the hooks have to say.
  HoldLateOutput(true);
  // First: Python's own hooks may use files.
  const absl::Status status = files.Restore();
  if (!status.ok()) {
    frame.mutable_setup_failed()->set_stage("open files");
    const absl::string_view why = status.message();
    frame.mutable_setup_failed()->set_message(
        ForeignText({why.data(), why.size()}, kMaxObstacleBytes));
    (void)session->Send(frame);
    return status;
  }
  AbandonMessageDescriptors();
  PyOS_AfterFork_Child();
  session->AfterCopy();
  PyRef renewed = PyRef::Steal(PyObject_CallNoArgs(renew));
  if (!renewed) PyErr_Clear();
  frame.mutable_ready();
  const absl::Status sent = session->Send(frame);
  HoldLateOutput(false);
  return sent;
}

void FindObstacles(std::vector<std::string>* obstacles) {
  FindThreads(obstacles);
  FindInterpreters(obstacles);
  FindChildren(obstacles);
}

// Programs choose names of files as they like, in whatever encoding, and have as many as they like.
GuestFrame Refused(const std::vector<std::string>& obstacles) {
  GuestFrame frame;
  internal::v1::ForkPrepared& refused = *frame.mutable_fork_prepared();
  const size_t told = std::min(obstacles.size(), kMaxObstacles);
  for (size_t i = 0; i < told; ++i) {
    refused.add_obstacles(ForeignText(obstacles[i], kMaxObstacleBytes));
  }
  if (told < obstacles.size()) {
    refused.add_obstacles(absl::StrCat("and ", obstacles.size() - told, " more"));
  }
  return frame;
}

}  // namespace

absl::Status StandStillForCopies(Session* session, int channel, PyObject* renew) {
  std::vector<std::string> obstacles;
  OpenFiles files;
  session->BeforeCopy();
  FindObstacles(&obstacles);
  CLOISTER_RETURN_IF_ERROR(session->Flush());
  if (obstacles.empty()) {
    // Runs what programs have registered for it, which may open files and start threads.
    PyOS_BeforeFork();
    FindThreads(&obstacles);
    FindSharedMemory(&obstacles);
    MessageDescriptors messages = ListMessageDescriptors();
    std::move(messages.obstacles.begin(), messages.obstacles.end(), std::back_inserter(obstacles));
    files.Record(messages.fds, &obstacles);
    if (!obstacles.empty()) PyOS_AfterFork_Parent();
  }
  if (!obstacles.empty()) {
    session->AfterCopy();
    return session->Send(Refused(obstacles));
  }
  GuestFrame frame;
  frame.mutable_fork_prepared();
  CLOISTER_ASSIGN_OR_RETURN(const std::string prepared, EncodeFrame(frame, kMaxGuestFrameBytes));
  absl::Status status;
  StandStill(
      [&] {
        status = WaitForCopies(channel, prepared);
        PyOS_AfterFork_Parent();
        session->AfterCopy();
      },
      [&] { status = BeginCopy(session, files, renew); });
  return status;
}

}  // namespace cloister::sandbox

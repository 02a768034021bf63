// A guest binary with a language of a few words instead of Python, so that the tests of the spawner
// need no runtime image. One word per line, see Execute.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/wire/frame.h"
#include "sandbox/zygote/fork_point.h"
#include "sandbox/zygote/guest_main.h"

// Where the zygote sends a sandbox's shadow for its calls.
extern "C" const char cloister_traced_call[];

namespace cloister::sandbox {
namespace {

// Fills `mebibytes` of memory, or dies in the attempt.
void Allocate(int mebibytes) {
  for (int i = 0; i < mebibytes; ++i) {
    void* piece =
        mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) _exit(3);
    memset(piece, 1, 1 << 20);
  }
}

// What a copy must have, and have for itself.
int counter = 0;

// As files keep what is written to them.
void AppendToFile(const char* path, int number) {
  FILE* file = fopen(path, "a");
  if (file == nullptr) _exit(4);
  fprintf(file, "%d ", number);
  fclose(file);
}

void PrintFile(const char* path) {
  char text[256] = "";
  FILE* file = fopen(path, "r");
  if (file != nullptr) {
    if (fgets(text, sizeof(text), file) == nullptr) text[0] = '\0';
    fclose(file);
  }
  printf("%s=%s\n", path, text);
}

void Describe() {
  utsname names;
  uname(&names);
  char directory[256];
  if (getcwd(directory, sizeof(directory)) == nullptr) directory[0] = '\0';
  struct statfs workspace;
  statfs("/workspace", &workspace);
  printf("pid=%d tid_right=%d uid=%d gid=%d host=%s cwd=%s workspace=%lld\n", getpid(),
         // raise(3) and abort(3) use the cached id: it must be the kernel's.
         gettid() == static_cast<pid_t>(syscall(SYS_gettid)), getuid(), getgid(), names.nodename,
         directory, static_cast<long long>(workspace.f_blocks * workspace.f_bsize));
}

// How many timers it may have, of `wanted`.
int MakeTimers(int wanted) {
  for (int made = 0; made < wanted; ++made) {
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, nullptr, &timer) != 0) return made;
  }
  return wanted;
}

// What a hostile program does to the code that copying it needs.
void Patch(std::string_view instructions) {
  const auto begin = reinterpret_cast<uintptr_t>(cloister_traced_call) & ~uintptr_t{4095};
  auto* const page = reinterpret_cast<void*>(begin);
  if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) _exit(5);
  char* code = const_cast<char*>(cloister_traced_call);
  asm volatile("" : "+r"(code));  // or the compiler leaves out what cannot be, a write to a constant
  memcpy(code, instructions.data(), instructions.size());
}

// A loop in place of the call; one that lets all calls pass and rewrites the filter of seccomp(2) to a
// single "allow" on its way; one that dies where descriptors are received.
using namespace std::string_view_literals;
constexpr std::string_view kPatches[] = {
    "\xeb\xfe"sv,
    "\x3d\x3d\x01\x00\x00\x75\x16\x66\xc7\x02\x01\x00\x48\x8b\x4a\x08\xc7\x01\x06\x00\x00\x00"
    "\xc7\x41\x04\x00\x00\xff\x7f\x0f\x05\x0f\x0b"sv,
    "\x83\xf8\x2f\x74\x04\x0f\x05\x0f\x0b\xcc"sv,
};

// Privately, as a program may, a file whose name is no UTF-8.
void MapLatin() {
  const int fd = open("/workspace/caf\xe9", O_RDWR | O_CREAT, 0600);
  if (ftruncate(fd, 4096) != 0) _exit(7);
  if (mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED) _exit(7);
  close(fd);
}

void Fill(int mebibytes) {
  const std::string piece(1 << 20, 'x');
  FILE* file = fopen("/workspace/filler", "w");
  for (int i = 0; i < mebibytes; ++i) fwrite(piece.data(), piece.size(), 1, file);
  if (fclose(file) != 0) _exit(9);
}

void Execute(const std::string& word, int argument) {
  if (word == "patch") Patch(kPatches[argument]);
  if (word == "map_latin") MapLatin();
  if (word == "fill") Fill(argument);
  if (word == "describe") Describe();
  if (word == "count") printf("counter=%d\n", counter += argument);
  if (word == "share") {
    mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  }
  if (word == "append") {
    AppendToFile("/workspace/log", argument);
    AppendToFile("/tmp/log", argument);
  }
  if (word == "print") {
    PrintFile("/workspace/log");
    PrintFile("/tmp/log");
  }
  if (word == "signal_all") {
    for (int pid = 1; pid < 2000; ++pid) {
      if (pid != getpid() && kill(pid, 0) == 0) printf("reached=%d\n", pid);
    }
    printf("done\n");
  }
  if (word == "descriptors") {
    for (int fd = 0; fd < 1024; ++fd) {
      if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
    }
    printf("\n");
  }
  if (word == "say") printf("%d\n", argument);
  if (word == "complain") fprintf(stderr, "%d\n", argument);
  if (word == "exit") exit(argument);
  if (word == "abort") abort();
  if (word == "raise") raise(argument);
  if (word == "timers") printf("%d\n", MakeTimers(argument));
  if (word == "allocate") Allocate(argument);
  if (word == "sleep") pause();
  if (word == "try_open") {
    for (const char* path : {"/", "/workspace/file", "/tmp/file", "/dev/null", "/file", "/etc"}) {
      FILE* file = fopen(path, strcmp(path, "/") == 0 ? "r" : "w");
      printf("%s=%d ", path, file != nullptr);
      if (file != nullptr) fclose(file);
    }
    printf("\n");
  }
}

class TinyRuntime : public GuestRuntime {
 public:
  absl::StatusOr<std::string> WarmUp(const internal::v1::ZygoteSpec& spec) override {
    for (const std::string& name : spec.warm_up_imports()) {
      if (name == "die") abort();
      if (name == "missing") return absl::InvalidArgumentError("no module named missing");
    }
    return std::string("tiny 1.0");
  }
  void BeforeFork() override {}
  void AfterForkInParent() override {}
  void AfterForkInChild() override {}
  absl::Status Prepare() override { return absl::OkStatus(); }

  int Serve(int channel) override {
    setvbuf(stdout, nullptr, _IONBF, 0);
    // One program after the other, until the end of the channel, or a kill.
    internal::v1::HostFrame frame;
    while (ReadFrame(channel, &frame, kMaxHostFrameBytes).ok()) {
      bool ok = true;
      if (frame.has_prepare_fork()) {
        StandStill([&] { ok = WaitForCopies(channel); }, [&] { ok = SayReady(channel); });
      } else {
        ok = RunProgram(frame, channel);
      }
      if (!ok) return 8;
    }
    return 0;
  }

 private:
  static bool WaitForCopies(int channel) {
    internal::v1::GuestFrame prepared;
    prepared.mutable_fork_prepared();
    internal::v1::HostFrame resume;
    const std::string bytes = EncodeFrame(prepared, kMaxGuestFrameBytes).value();
    // Between these two its memory must not change: it may be copied at any moment.
    char first;
    if (write(channel, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        recv(channel, &first, 1, MSG_PEEK) != 1) {
      return false;
    }
    return ReadFrame(channel, &resume, kMaxHostFrameBytes).ok() && resume.has_resume_parent();
  }

  static bool SayReady(int channel) {
    internal::v1::GuestFrame ready;
    ready.mutable_ready();
    return WriteFrame(channel, ready, kMaxGuestFrameBytes).ok();
  }

  static bool RunProgram(const internal::v1::HostFrame& frame, int channel) {
    const std::string code = frame.run_program().program().code();
    for (const char* line = code.c_str(); line != nullptr && *line != '\0';) {
      char word[32] = "";
      int argument = 0;
      sscanf(line, "%31s %d", word, &argument);
      Execute(word, argument);
      line = strchr(line, '\n');
      if (line != nullptr) ++line;
    }
    internal::v1::GuestFrame finished;
    finished.mutable_finished()->set_kind(internal::v1::Finished::KIND_SUCCEEDED);
    return WriteFrame(channel, finished, kMaxGuestFrameBytes).ok();
  }
};

}  // namespace
}  // namespace cloister::sandbox

int main(int argc, char** argv) {
  cloister::sandbox::TinyRuntime runtime;
  return cloister::sandbox::GuestMain(argc, argv, runtime);
}

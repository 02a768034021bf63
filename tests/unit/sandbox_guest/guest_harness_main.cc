// A zygote without walls: PythonRuntime as the real zygote drives it, for tests that are about
// Python.
//
// Started in the image's file system, in a mount namespace of its own, with a packet socket as
// descriptor
// 3. Serves ZygoteRequest: a config warms up; a clone_sandbox comes with three descriptors
// (channel, stdout, stderr) and is answered by child_exited.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cloister/internal/v1/guest.pb.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/monotonic_time.h"
#include "sandbox/guest/arena_owners.h"
#include "sandbox/guest/provenance.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/python_runtime.h"
#include "sandbox/linux/clone.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::ZygoteEvent;
using internal::v1::ZygoteRequest;

constexpr int kControl = 3;

// ---- module astray: an object that one interpreter leaves behind and another finds
// ---------------

PyObject* astray = nullptr;

PyObject* Leave(PyObject*, PyObject* object) {
  astray = Py_NewRef(object);
  Py_RETURN_NONE;
}

PyObject* Find(PyObject*, PyObject*) { return PyRef::Borrow(astray).release(); }

// The same in a HomeRef, which knows whose it is.
HomeRef kept;

PyObject* Keep(PyObject*, PyObject* object) {
  kept = HomeRef(Here(), PyRef::Borrow(object));
  Py_RETURN_NONE;
}

PyObject* Look(PyObject*, PyObject*) { return PyRef::Borrow(kept.get(Here())).release(); }

PyObject* LookWithoutGil(PyObject*, PyObject*) {
  Py_BEGIN_ALLOW_THREADS;
  (void)kept.get(Here());
  Py_END_ALLOW_THREADS;
  Py_RETURN_NONE;
}

PyMethodDef astray_methods[] = {{"leave", Leave, METH_O, nullptr},
                                {"find", Find, METH_NOARGS, nullptr},
                                {"keep", Keep, METH_O, nullptr},
                                {"look", Look, METH_NOARGS, nullptr},
                                {"look_without_gil", LookWithoutGil, METH_NOARGS, nullptr},
                                {}};
PyModuleDef_Slot astray_slots[] = {
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED}, {0, nullptr}};

PyObject* InitAstray() {
  static PyModuleDef definition = {};
  definition.m_base = PyModuleDef_HEAD_INIT;
  definition.m_name = "astray";
  definition.m_methods = astray_methods;
  definition.m_slots = astray_slots;
  return PyModuleDef_Init(&definition);
}

// -------------------------------------------------------------------------------------------------

[[noreturn]] void Die(const char* what) {
  perror(what);
  _exit(EXIT_FAILURE);
}

[[noreturn]] void RunClone(PythonRuntime& runtime, const std::vector<UniqueFd>& descriptors,
                           int64_t start) {
  runtime.AfterForkInChild();
  const int64_t forked = MonotonicNanoseconds();
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (unshare(CLONE_NEWNS) != 0 ||
      mount("workspace", "/workspace", "tmpfs", MS_NOSUID | MS_NODEV, "size=8m") != 0 ||
      chdir("/workspace") != 0) {
    Die("workspace");
  }
  dup2(descriptors[1].get(), STDOUT_FILENO);
  dup2(descriptors[2].get(), STDERR_FILENO);
  dup2(descriptors[0].get(), kControl);
  for (int fd = kControl + 1; fd < 64; ++fd) close(fd);
  const int64_t confined = MonotonicNanoseconds();
  if (absl::Status status = runtime.Prepare(); !status.ok()) {
    fprintf(stderr, "%s\n", status.ToString().c_str());
    _exit(EXIT_FAILURE);
  }
  GuestFrame ready;
  auto* after_fork = ready.mutable_ready()->add_stage_times();
  after_fork->set_stage("after_fork");
  after_fork->set_nanoseconds(forked - start);
  auto* prepare = ready.mutable_ready()->add_stage_times();
  prepare->set_stage("prepare");
  prepare->set_nanoseconds(MonotonicNanoseconds() - confined);
  if (!WriteFrame(kControl, ready, kMaxGuestFrameBytes).ok()) Die("say ready");
  _exit(runtime.Serve(kControl));
}

void Clone(PythonRuntime& runtime, const std::vector<UniqueFd>& descriptors, bool own_pids) {
  const UniqueFd pids(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
  if (own_pids && unshare(CLONE_NEWPID) != 0) Die("unshare");
  const int64_t start = MonotonicNanoseconds();
  runtime.BeforeFork();
  absl::StatusOr<CloneResult> clone = CloneProcess();
  if (clone.ok() && clone->in_child) RunClone(runtime, descriptors, start);
  runtime.AfterForkInParent();
  if (!clone.ok()) Die("clone");
  if (own_pids && setns(pids.get(), CLONE_NEWPID) != 0) Die("setns");
}

void ReportExit() {
  siginfo_t info = {};
  if (waitid(P_ALL, 0, &info, WEXITED) != 0) Die("waitid");
  ZygoteEvent event;
  event.mutable_child_exited()->set_wait_code(info.si_code);
  event.mutable_child_exited()->set_wait_status(info.si_status);
  (void)SendPacket(kControl, event);
}

int Main() {
  checks_owners = true;
  if (PyImport_AppendInittab("astray", InitAstray) != 0) return EXIT_FAILURE;
  PythonRuntime runtime;
  bool own_pids = false;
  for (;;) {
    ZygoteRequest request;
    std::vector<UniqueFd> descriptors;
    if (!ReceivePacket(kControl, &request, &descriptors).ok()) return EXIT_SUCCESS;
    if (request.has_config()) {
      own_pids = request.config().namespaces();
      const int64_t start = MonotonicNanoseconds();
      auto version = runtime.WarmUp(request.config().spec());
      ZygoteEvent event;
      if (version.ok()) {
        event.mutable_ready()->set_python_version(*version);
        event.mutable_ready()->set_warm_up_nanoseconds(MonotonicNanoseconds() - start);
      } else {
        event.mutable_broken()->set_message(std::string(version.status().message()));
      }
      (void)SendPacket(kControl, event);
    } else {
      Clone(runtime, descriptors, own_pids);
      descriptors.clear();
      ReportExit();
    }
  }
}

}  // namespace
}  // namespace cloister::sandbox

int main() { _exit(cloister::sandbox::Main()); }

#include "sandbox/guest/interpreter.h"

#include <malloc.h>
#include <stdlib.h>

#include <clocale>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/guest/arena_memory.h"
#include "sandbox/guest/builtin_modules.h"
#include "sandbox/guest/python_object.h"

#if PY_VERSION_HEX < 0x030D0000 || PY_VERSION_HEX >= 0x03100000
#error "Cloister embeds CPython 3.13, 3.14 and 3.15; choose another runtime image"
#endif

namespace cloister::sandbox {
namespace {

#define CLOISTER_STRING(x) #x
#define CLOISTER_VERSION_STRING(major, minor) CLOISTER_STRING(major) "." CLOISTER_STRING(minor)
constexpr char kPythonVersion[] = CLOISTER_VERSION_STRING(PY_MAJOR_VERSION, PY_MINOR_VERSION);

// The library the loader found may be another than the headers this was compiled with.
absl::Status CheckVersion() {
  if (Py_Version >> 16 == PY_VERSION_HEX >> 16) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("this guest binary is built for CPython ", kPythonVersion, ", the image has ",
                   Py_GetVersion(), "; build it again for this image"));
}

absl::Status SetEnvironment(const EnvironmentMap& environment) {
  clearenv();
  bool set = true;
  for (const auto& [name, value] : environment) {
    set = set && setenv(name.c_str(), value.c_str(), 1) == 0;
  }
  return set ? absl::OkStatus() : SyscallError("set the environment of the template");
}

// Few and large mappings: a fork copies page tables by the mapping, and memory that is given back
// to the kernel would have to be faulted in again.
void TuneMalloc() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

absl::Status FromPyStatus(const char* what, const PyStatus& status) {
  if (!PyStatus_Exception(status)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, ": ", status.func == nullptr ? "" : status.func, ": ",
                   status.err_msg == nullptr ? "" : status.err_msg));
}

// UTF-8 everywhere, whatever the machine's locale is.
absl::Status PreInitialize() {
  PyPreConfig config;
  PyPreConfig_InitIsolatedConfig(&config);
  config.utf8_mode = 1;
  config.configure_locale = 1;
  return FromPyStatus("prepare CPython", Py_PreInitialize(&config));
}

absl::Status FillConfig(const std::string& root, PyConfig* config) {
  PyConfig_InitIsolatedConfig(config);  // no environment variables, no user site directory
  config->site_import = 1;              // distribution packages
  config->parse_argv = 0;
  config->write_bytecode = 0;
  config->pathconfig_warnings = 0;
  config->install_signal_handlers = 1;  // SIGINT raises KeyboardInterrupt
#if PY_VERSION_HEX >= 0x030E0000
  config->remote_debug = 0;
#endif
  CLOISTER_RETURN_IF_ERROR(FromPyStatus(
      "set home",
      PyConfig_SetBytesString(config, &config->home, absl::StrCat(root, "/usr").c_str())));
  return FromPyStatus(
      "set program name",
      PyConfig_SetBytesString(config, &config->program_name,
                              absl::StrCat(root, "/usr/bin/python", kPythonVersion).c_str()));
}

absl::Status Initialize(const std::string& root) {
  PyConfig config;
  absl::Status status = FillConfig(root, &config);
  if (status.ok()) status = FromPyStatus("start CPython", Py_InitializeFromConfig(&config));
  PyConfig_Clear(&config);
  return status;
}

}  // namespace

absl::StatusOr<std::string> StartInterpreter(const EnvironmentMap& environment,
                                             const std::string& root) {
  CLOISTER_RETURN_IF_ERROR(CheckVersion());
  CLOISTER_RETURN_IF_ERROR(SetEnvironment(environment));
  TuneMalloc();
  // What C code prints is in the pipe when its call returns, as with Python's own streams.
  setvbuf(stdout, nullptr, _IONBF, 0);
  if (!AddBuiltinModules()) return absl::ResourceExhaustedError("no memory for modules");
  CLOISTER_RETURN_IF_ERROR(PreInitialize());
  InstallArenaAllocator();
  CLOISTER_RETURN_IF_ERROR(Initialize(root));
  PyGC_Disable();
  const unsigned long version = Py_Version;
  return absl::StrCat(version >> 24, ".", version >> 16 & 0xFF, ".", version >> 8 & 0xFF);
}

}  // namespace cloister::sandbox

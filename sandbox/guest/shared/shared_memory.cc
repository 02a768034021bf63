#include "sandbox/guest/shared/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

rlim_t Rlimit(__rlimit_resource_t resource) {
  rlimit limit = {};
  return getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

// What could never fit is refused at once. What does not fit beside the rest ends the sandbox when
// it is touched, as all memory does.
absl::Status CheckSize(size_t size) {
  // The host sets it to the sandbox's memory and some slack.
  const rlim_t memory = Rlimit(RLIMIT_DATA);
  if (memory != RLIM_INFINITY && size > memory) {
    return absl::ResourceExhaustedError(
        absl::StrCat(size, " bytes of shared memory are more than the sandbox has"));
  }
  // Past it, the kernel sends a signal.
  const rlim_t file = Rlimit(RLIMIT_FSIZE);
  if (file != RLIM_INFINITY && size > file) {
    return absl::InvalidArgumentError(
        absl::StrCat(size, " bytes of shared memory are more than files may have here: ", file,
                     " (file_bytes)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FailedCall(const char* what) {
  const std::string message = absl::StrCat(what, ": ", strerror(errno));
  return errno == ENOMEM ? absl::ResourceExhaustedError(message) : absl::UnknownError(message);
}

absl::StatusOr<OpenDescriptor> MakeSharedFile(const char* name, size_t size) {
  CLOISTER_RETURN_IF_ERROR(CheckSize(size));
  UniqueFd file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return FailedCall("make shared memory");
  if (ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    return FailedCall("give shared memory its size");
  }
  if (fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) return FailedCall("seal shared memory");
  return std::make_shared<const UniqueFd>(std::move(file));
}

absl::Status CheckSharedFile(int descriptor, uint64_t offset, uint64_t size) {
  // Other files have no seals, or none that keep them from shrinking.
  const int seals = fcntl(descriptor, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return absl::InvalidArgumentError("what came as shared memory is none that keeps its size");
  }
  struct stat info;
  if (fstat(descriptor, &info) != 0) return FailedCall("look at shared memory");
  const auto bytes = static_cast<uint64_t>(info.st_size);
  if (size == 0 || offset > bytes || size > bytes - offset) {
    return absl::InvalidArgumentError(
        absl::StrCat(size, " bytes of shared memory at ", offset, ", and it has ", bytes));
  }
  if (const rlim_t memory = Rlimit(RLIMIT_DATA); memory != RLIM_INFINITY && size > memory) {
    return absl::InvalidArgumentError(
        absl::StrCat(size, " bytes of shared memory, and the sandbox has not as many"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const SharedMemory>> SharedMemory::Map(OpenDescriptor descriptor,
                                                                      uint64_t offset,
                                                                      uint64_t size,
                                                                      Access access) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t before = offset % page;
  const int protection = access == Access::kReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  void* mapped = mmap(nullptr, before + size, protection, MAP_SHARED, descriptor->get(),
                      static_cast<off_t>(offset - before));
  if (mapped == MAP_FAILED) return FailedCall("map shared memory");
  std::shared_ptr<SharedMemory> memory(new SharedMemory);
  memory->mapped_ = static_cast<char*>(mapped);
  memory->mapped_bytes_ = (before + size + page - 1) / page * page;
  memory->data_ = memory->mapped_ + before;
  memory->size_ = size;
  memory->offset_ = offset;
  memory->access_ = access;
  memory->descriptor_ = std::move(descriptor);
  return memory;
}

SharedMemory::~SharedMemory() { munmap(mapped_, mapped_bytes_); }

PyObject* RaiseStatus(const absl::Status& status) {
  PyObject* type = PyExc_OSError;
  if (absl::IsInvalidArgument(status)) type = PyExc_ValueError;
  if (absl::IsResourceExhausted(status)) type = PyExc_MemoryError;
  PyErr_SetString(type, std::string(status.message()).c_str());
  return nullptr;
}

}  // namespace cloister::sandbox
